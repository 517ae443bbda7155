"""Market-data fields and their values."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr.errors import InvalidRequest
from ibkr.field_values import Availability, FieldValue, availability, number, parse
from ibkr.fields import BY_NAME, BY_NUMBER, FIELDS, Kind, find
from support import published

exact = st.decimals(min_value=-(10**12), max_value=10**12, places=4)
anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


def test_names_and_numbers_are_unique_and_of_known_kinds() -> None:
    assert len(BY_NAME) == len(BY_NUMBER) == len(FIELDS)
    assert {field.kind for field in FIELDS} == set(get_args(Kind))
    assert all(field.name.isidentifier() and field.name == field.name.lower() for field in FIELDS)
    assert all(field.number.isdecimal() and field.meaning for field in FIELDS)


def test_every_field_of_the_newest_document_is_known() -> None:
    # 7943 stands in the document's list only; nothing says what it is.
    assert published.field_numbers() - set(BY_NUMBER) == {"7943"}


def test_fields_are_found_by_name_or_number_in_order_and_once() -> None:
    found = find(["bid", "86", " Last ", "84", "implied_volatility_underlying"])
    assert [field.name for field in found] == ["bid", "ask", "last", "implied_volatility_underlying"]
    assert [field.number for field in found] == ["84", "86", "31", "7283"]


def test_all_unknown_fields_are_named_with_what_comes_close() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        find(["last", "bid_sise", "999999"])
    assert refusal.value.message == "Unknown market-data fields: 'bid_sise' (perhaps bid_size or bid_yield), '999999'."


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("last", "192.26", FieldValue(Decimal("192.26"))),
        ("last", "C198.63", FieldValue(Decimal("198.63"), "previous_close")),
        ("last", "H1,234.50", FieldValue(Decimal("1234.50"), "halted")),
        ("bid", "C198.63", FieldValue("C198.63", "unreadable")),
        ("last", "C", FieldValue("C", "unreadable")),
        ("bid", 192.26, FieldValue(Decimal("192.26"))),
        ("bid", 0.1, FieldValue(Decimal("0.1"))),
        ("bid", Decimal("1.10"), FieldValue(Decimal("1.10"))),
        ("bid_size", "1,300", FieldValue(Decimal(1300))),
        ("volume", "163.773K", FieldValue(Decimal(163773))),
        ("volume", "1.5M", FieldValue(Decimal(1500000))),
        ("market_cap", "2.79T", FieldValue(Decimal("2790000000000"))),
        ("bid", "1.5M", FieldValue("1.5M", "unreadable")),
        ("change_percent", "0.54%", FieldValue(Decimal("0.54"))),
        ("change_percent", -0.54, FieldValue(Decimal("-0.54"))),
        ("change", "+1.5", FieldValue(Decimal("1.5"))),
        ("change", "5%", FieldValue("5%", "unreadable")),
        ("gamma", ".004", FieldValue(Decimal("0.004"))),
        ("bid", "1,5", FieldValue("1,5", "unreadable")),
        ("bid", "110'16", FieldValue("110'16", "unreadable")),
        ("bid", float("nan"), FieldValue("nan", "unreadable")),
        ("bid", True, FieldValue("true", "unreadable")),
        ("bid", "", FieldValue(None, "not_applicable")),
        ("delta", "N/A", FieldValue(None, "not_applicable")),
        ("delta", None, FieldValue(None, "not_applicable")),
        ("symbol", "NA", FieldValue("NA")),
        ("conid", 265598, FieldValue("265598")),
        ("can_be_traded", "1", FieldValue(True)),
        ("can_be_traded", False, FieldValue(False)),
        ("can_be_traded", "maybe", FieldValue("maybe", "unreadable")),
        ("ex_dividend_date", "20261112", FieldValue("20261112")),
    ],
)
def test_a_value_is_read_by_the_kind_of_its_field(name: str, raw: object, expected: FieldValue) -> None:
    reading = parse(BY_NAME[name], raw)
    assert reading == expected
    assert type(reading.value) is type(expected.value)


@given(exact)
def test_a_number_written_in_any_of_ibkrs_ways_reads_back_exactly(value: Decimal) -> None:
    assert number(str(value)) == value
    assert number(f"{value:,f}") == value
    assert number(f"{value:f}%", percent=True) == value
    assert number(f"{value:f}K", scaled=True) == value * 1000
    assert number(f"{value:f}B", scaled=True) == value * 10**9


@given(st.floats(min_value=1e-6, max_value=1e15) | st.integers(-(10**30), 10**30))
def test_a_json_number_keeps_its_digits(value: float) -> None:
    reading = parse(BY_NAME["mark"], value).value
    assert isinstance(reading, Decimal)
    assert reading == Decimal(repr(value))


@given(st.sampled_from(FIELDS), anything)
def test_no_value_whatever_breaks_the_reader_or_becomes_a_float(field, raw) -> None:
    reading = parse(field, raw)
    assert isinstance(reading.value, Decimal | bool | str | None)
    assert not isinstance(reading.value, Decimal) or reading.value.is_finite()
    assert (reading.value is None) == (reading.note == "not_applicable")


@given(exact)
def test_only_the_last_price_bears_a_letter_in_front(value: Decimal) -> None:
    for field in FIELDS:
        if field.kind == "price" and field.name != "last":
            assert parse(field, f"C{value:f}").note == "unreadable"
    assert parse(BY_NAME["last"], f"C{value:f}") == FieldValue(value, "previous_close")


@pytest.mark.parametrize(
    ("letters", "timing", "consolidated", "book"),
    [
        ("RpB", "live", True, True),
        ("RB", "live", False, True),
        ("DPB", "delayed", False, True),
        ("Zp", "frozen", True, False),
        ("Y", "frozen_delayed", False, False),
        ("N", "not_subscribed", False, False),
        ("O", "not_acknowledged", False, False),
        ("i", "not_acknowledged", False, False),
        ("vRp", "live", True, False),
        ("S", "unknown", False, False),
        ("", "unknown", False, False),
    ],
)
def test_availability_letters_say_how_old_quotes_are(letters, timing, consolidated, book) -> None:
    decoded = availability(letters)
    assert decoded == Availability(timing, decoded.reason, consolidated, book)
    assert bool(decoded.reason) == (timing != "live")


@given(st.text())
def test_quotes_are_never_called_live_without_the_letter(letters: str) -> None:
    assert availability(letters).timing != "live" or "R" in letters
