"""Which history can be asked for, and reading it."""

from __future__ import annotations

import pytest

from ib_mcp.market import bars
from ibkr.errors import InvalidRequest


@pytest.mark.parametrize(
    ("period", "bar", "chosen"),
    [
        ("1d", None, "5min"),
        ("1w", None, "1h"),
        ("1m", None, "1d"),
        ("5y", None, "1w"),
        ("1d", "1min", "1min"),
        ("1y", "1m", "1m"),
        ("15y", "1w", "1w"),
        ("30min", "1MIN", "1min"),
    ],
)
def test_a_bar_is_chosen_that_ibkr_has_for_the_period(period: str, bar: str | None, chosen: str) -> None:
    assert bars.choose(period, bar) == (period, chosen)


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
        ("d", None),
        ("", None),
    ],
)
def test_what_ibkr_does_not_have_is_refused(period: str, bar: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bars.choose(period, bar)
    assert refused.value.action


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("2026-11-20T15:30:00Z", "20261120-15:30:00"),
        ("2026-11-20T16:30:00+01:00", "20261120-15:30:00"),
        ("2026-11-20 15:30", "20261120-15:30:00"),
        ("2026-11-20", "20261120-00:00:00"),
    ],
)
def test_the_end_is_sent_in_utc(end: str, text: str) -> None:
    assert bars.end_text(end) == text


@pytest.mark.parametrize(
    "end", ["yesterday", "2026-13-01", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"]
)
def test_an_end_that_is_no_time_is_refused_with_an_example(end: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bars.end_text(end)
    assert "2026-11-20T15:30:00Z" in refused.value.action


@pytest.mark.parametrize(
    ("sent", "factor", "units"),
    [
        (51234.37, 100, 5123437),
        (51234.0, 1, 51234),
        (0.1, 3, 0.3),
        ("12,345.5", 2, 24691),
        (2.0**53, 1, 2**53),
        (2.0**53, 4, str(2**55)),
        (float("inf"), 1, None),
        (None, 1, None),
    ],
)
def test_a_volume_is_exactly_what_was_sent_times_the_factor(sent: object, factor: int, units: object) -> None:
    (bar,) = bars.parse({"volumeFactor": factor, "data": [{"t": 1700000000000, "v": sent}]}).bars
    assert bar[-1] == units


def test_bars_are_read_with_volume_in_units_and_without_ibkrs_filler() -> None:
    body = {
        "volumeFactor": 40,
        "mktDataDelay": 900,
        "mdAvailability": "D",
        "data": [{"t": 1700000000000, "o": 1.1, "h": 1.2, "l": 1.0, "c": 1.15, "v": 12.5}, {"o": 0, "v": 0}],
    }
    history = bars.parse(body)
    assert history.bars == [("2023-11-14T22:13:20Z", 1.1, 1.2, 1.0, 1.15, 500)]
    assert history.timing == "delayed"
    assert bars.parse({"mdAvailability": "RpB", "mktDataDelay": 500}).timing == "live"
    assert bars.parse({"mdAvailability": "S"}).timing == "unknown"
    assert bars.parse({}) == bars.Bars([], "unknown")


@pytest.mark.parametrize(
    ("period", "bar", "shorter"), [("1d", "5min", "5min"), ("1m", "1d", "8h"), ("1y", "1d", "8h"), ("2y", "1w", "1w")]
)
def test_bars_below_a_day_are_the_largest_that_the_period_has(period: str, bar: str, shorter: str) -> None:
    assert bars.intraday(period, bar) == shorter
