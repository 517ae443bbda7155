"""Values: numbers stay what they were, texts are only data."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_mcp.formats.values import cut, decimal, exact, figure, iso, iso_date, iso_ms, plain, table, untrusted
from ibkr.errors import InvalidRequest

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


def test_times_are_iso_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(None) is None
    assert iso_ms("1700000000000") == iso_ms(1700000000000) == "2023-11-14T22:13:20Z"
    assert iso_ms("soon") is None
    assert iso_date(20261218) == "2026-12-18"
    assert iso_date("202612") == "2026-12"
    assert iso_date("2026-12-18") == "2026-12-18"
    assert iso_date(None) is None


def test_untrusted_text_has_no_markup_and_an_end() -> None:
    assert untrusted("<b>Sell</b>&nbsp;all<script>x</script>\n\nnow") == "Sell all x now"
    assert untrusted(None) == ""
    assert len(untrusted("a" * 5000, 100)) == 100


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_portions_make_up_the_whole(rows: list[int], limit: int) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        part, cursor = cut(rows, cursor, limit)
        seen += part
        if cursor is None:
            break
    assert seen == rows


@pytest.mark.parametrize("cursor", ["-1", "1.5", "x", "", "9999999"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        cut([1], cursor, 1)


def test_tables_do_not_repeat_names() -> None:
    assert table(("a", "b"), [(1, 2), (3, 4)]) == {"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}
    assert table(("a",), [(1,)], more="1")["more"] == "1"
