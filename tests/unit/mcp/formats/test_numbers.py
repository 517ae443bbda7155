"""Numbers stay what they were."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_mcp.formats.numbers import decimal, exact, figure, plain

numbers = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value.adjusted()) < 300)


def as_shown(value: object) -> Decimal:
    """The number that a reader of the answer's JSON gets."""
    read = json.loads(json.dumps(value), parse_float=Decimal, parse_int=Decimal)
    return Decimal(read)


@given(numbers)
def test_a_number_of_ibkr_is_shown_as_the_same_number(value: Decimal) -> None:
    text = format(value, "f") if "." in format(value, "f") else f"{format(value, 'f')}.0"
    assert as_shown(exact(text)) == value


@given(numbers)
def test_a_decimal_is_shown_as_the_same_number(value: Decimal) -> None:
    assert as_shown(plain(value)) == value


def test_more_digits_than_a_float_holds_are_shown_as_text() -> None:
    assert exact("0.1") == 0.1
    assert exact("12345678901234.123456") == "12345678901234.123456"
    assert plain(Decimal(2**60)) == str(2**60)
    assert plain(Decimal("1.50")) == 1.5
    assert plain(None) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1,234.50", 1234.5), ("0.54%", 0.54), ("", None), ("N/A", "N/A"), (5, 5), (None, None), ("Limit", "Limit")],
)
def test_figures_are_numbers_where_ibkr_wrote_numbers(given: object, shown: object) -> None:
    assert figure(given) == shown


@pytest.mark.parametrize(("given", "read"), [("1,005", 1005), (0.1, "0.1"), (True, None), ("x", None), (None, None)])
def test_arithmetic_is_done_with_decimals_of_what_was_written(given: object, read: object) -> None:
    assert decimal(given) == (None if read is None else Decimal(str(read)))
