"""Which history can be asked for, and how."""

from __future__ import annotations

from datetime import date

import pytest

from ib_mcp.market import periods
from ib_mcp.market.periods import Span
from ibkr.errors import InvalidRequest

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("period", "bar", "asked"),
    [
        ("1d", None, Span("1d", "5min")),
        ("5d", None, Span("5d", "30min")),
        ("1w", None, Span("1w", "1h")),
        ("1m", None, Span("1m", "1d")),
        ("5y", None, Span("5y", "1w")),
        ("10y", None, Span("10y", "1m")),
        ("1d", "1min", Span("1d", "1min")),
        ("1y", "1m", Span("1y", "1m")),
        ("15y", "1w", Span("15y", "1w")),
        ("30min", "1MIN", Span("30min", "1min")),
        # As people write them.
        ("6 months", "1day", Span("6m", "1d")),
        ("1 year", "weekly", Span("1y", "1w")),
        ("3M", "daily", Span("3m", "1d")),
        ("1d", "60min", Span("1d", "1h")),
        ("2 hrs", "1 minute", Span("2h", "1min")),
        # IBKR has daily bars for weeks only, so the days are cut here.
        ("5d", "1d", Span("2w", "1d", newest=5)),
        ("1d", "1d", Span("1w", "1d", newest=1)),
        ("YTD", None, Span("47w", "1d", since=date(2026, 1, 1))),
        ("ytd", "1w", Span("47w", "1w", since=date(2026, 1, 1))),
    ],
)
def test_a_bar_is_chosen_that_ibkr_has_for_the_period(period: str, bar: str | None, asked: Span) -> None:
    assert periods.choose(period, bar, TODAY) == asked


@pytest.mark.parametrize(
    ("period", "bar"),
    [
        ("1y", "1min"),
        ("15y", "1d"),
        ("1d", "1w"),
        ("1d", "7min"),
        ("31min", None),
        ("9h", None),
        ("16y", None),
        ("0d", None),
        ("0 days", None),
        ("fortnight", None),
        ("", None),
    ],
)
def test_what_ibkr_does_not_have_is_refused(period: str, bar: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        periods.choose(period, bar, TODAY)
    assert refused.value.action


def test_the_first_days_of_a_year_have_a_year_to_date() -> None:
    assert periods.choose("YTD", None, date(2026, 1, 1)) == Span("1w", "1h", since=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("period", "bar", "shorter"), [("1d", "5min", "5min"), ("1m", "1d", "8h"), ("1y", "1d", "8h"), ("2y", "1w", "1w")]
)
def test_bars_below_a_day_are_the_largest_that_the_period_has(period: str, bar: str, shorter: str) -> None:
    assert periods.intraday(Span(period, bar)) == shorter
