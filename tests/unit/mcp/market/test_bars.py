"""Where history ends, and what IBKR's bars hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from ib_mcp.market import bars
from ib_mcp.market.bars import Bar
from ib_mcp.market.sessions import Schedule, Window
from ibkr.errors import InvalidRequest

SYDNEY = Schedule(ZoneInfo("Australia/Sydney"), (), ())


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def bar(start: str) -> Bar:
    return Bar(at(start), 1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("2026-11-20T15:30:00Z", "20261120-15:30:00"),
        ("2026-11-20T16:30:00+01:00", "20261120-15:30:00"),
        ("2026-11-20 15:30", "20261120-15:30:00"),
        # A date holds its whole day at the exchange.
        ("2026-11-20", "20261120-13:00:00"),
        ("20261120", "20261120-13:00:00"),
    ],
)
def test_the_end_is_sent_in_utc(end: str, text: str) -> None:
    assert bars.parse_end(end, SYDNEY).text == text


def test_a_date_without_a_known_exchange_is_one_in_utc() -> None:
    assert bars.parse_end("2026-11-20", None).text == "20261121-00:00:00"


@pytest.mark.parametrize(
    "end", ["yesterday", "2026-13-01", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"]
)
def test_an_end_that_is_no_time_is_refused_with_an_example(end: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bars.parse_end(end, None)
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
        (-1, 1, None),
        ("-1", 100, None),
    ],
)
def test_a_volume_is_exactly_what_was_sent_times_the_factor(sent: object, factor: int, units: object) -> None:
    (found,) = bars.parse({"volumeFactor": factor, "data": [{"t": 1700000000000, "v": sent}]}).bars
    assert found.volume == units


def test_parts_of_a_unit_with_the_factor_one_betray_lots() -> None:
    assert bars.parse({"volumeFactor": 1, "data": [{"t": 1, "v": 472117.45}]}).lots
    assert not bars.parse({"volumeFactor": 40, "data": [{"t": 1, "v": 17219.125}]}).lots


def test_bars_are_read_with_volume_in_units_and_without_ibkrs_filler() -> None:
    body = {
        "volumeFactor": 40,
        "data": [{"t": 1700000000000, "o": 1.1, "h": 1.2, "l": 1.0, "c": 1.15, "v": 12.5}, {"o": 0, "v": 0}],
    }
    assert bars.parse(body).bars == [Bar(1700000000.0, 1.1, 1.2, 1.0, 1.15, 500)]
    assert bars.parse({}).bars == []


@pytest.mark.parametrize(
    ("body", "timing"),
    [
        ({"mdAvailability": "RpB", "mktDataDelay": 500}, "live"),
        ({"mdAvailability": "DPB", "mktDataDelay": 0}, "delayed"),
        ({"mdAvailability": "ZB"}, "frozen"),
        ({"mdAvailability": "YPB"}, "frozen_delayed"),
        ({"mdAvailability": "S", "mktDataDelay": 0}, "unknown"),
        ({"mktDataDelay": 900}, "unknown"),
    ],
)
def test_timing_is_ibkrs_availability_never_the_time_that_the_answer_took(body: dict[str, Any], timing: str) -> None:
    assert bars.parse(body).timing == timing


def test_bars_of_a_day_have_the_exchanges_date_shorter_ones_the_time() -> None:
    assert bars.when(bar("2026-01-04T23:00"), "1d", SYDNEY) == "2026-01-05"
    assert bars.when(bar("2026-01-04T23:00"), "1h", SYDNEY) == "2026-01-04T23:00:00Z"
    assert bars.when(bar("2026-01-04T23:00"), "1d", None) == "2026-01-04T23:00:00Z"


DAY = datetime(2026, 11, 24, tzinfo=UTC).date()
TUESDAY = Schedule(ZoneInfo("US/Eastern"), (Window(DAY, at("2026-11-24T14:30"), at("2026-11-24T21:00")),), ())


@pytest.mark.parametrize(
    ("start", "size", "now", "timing", "unfinished"),
    [
        ("2026-11-24T14:30", "1d", "2026-11-24T17:00", "live", True),
        ("2026-11-24T14:30", "1d", "2026-11-24T21:01", "live", False),
        ("2026-11-24T14:30", "1d", "2026-11-24T21:01", "delayed", True),
        ("2026-11-23T14:30", "1d", "2026-11-24T12:00", "live", False),
        ("2026-11-23T14:30", "1w", "2026-11-24T17:00", "live", True),
        ("2026-11-16T14:30", "1w", "2026-11-24T17:00", "live", False),
        ("2026-11-02T14:30", "1m", "2026-11-24T17:00", "live", True),
        ("2026-10-01T13:30", "1m", "2026-11-24T17:00", "live", False),
    ],
)
def test_a_bar_in_which_trading_goes_on_is_unfinished(
    start: str, size: str, now: str, timing: Literal["live", "delayed"], unfinished: bool
) -> None:
    said = bars.is_unfinished(bar(start), size, TUESDAY, now=at(now), timing=timing, extended=False)
    assert said is unfinished


def test_a_week_is_finished_when_its_last_session_is_over() -> None:
    days = {"2026-11-25": "21:00", "2026-11-27": "18:00", "2026-11-30": "21:00"}
    half_day = Schedule(
        ZoneInfo("US/Eastern"),
        tuple(Window(date.fromisoformat(day), at(f"{day}T14:30"), at(f"{day}T{end}")) for day, end in days.items()),
        (),
    )
    for now, size, unfinished in (
        ("2026-11-27T17:00", "1w", True),
        ("2026-11-27T18:01", "1w", False),
        # Saturday in UTC, Friday evening in New York.
        ("2026-11-28T04:38", "1w", False),
        ("2026-11-28T04:38", "1m", True),
        ("2026-11-30T21:01", "1m", False),
    ):
        start = bar("2026-11-23T14:30" if size == "1w" else "2026-11-02T14:30")
        assert bars.is_unfinished(start, size, half_day, now=at(now), timing="live", extended=False) is unfinished


def test_short_bars_are_unfinished_until_their_time_is_over() -> None:
    short = bar("2026-11-24T17:00")
    for now, unfinished in (("2026-11-24T17:04", True), ("2026-11-24T17:06", False)):
        assert bars.is_unfinished(short, "5min", None, now=at(now), timing="live", extended=False) is unfinished


def test_extremes_pass_over_prices_that_are_not_known() -> None:
    known = Bar(0, 1, "2.5", 0.5, 1, 1)
    assert bars.extremes([Bar(0, None, None, None, None, None), known]) == ("2.5", 0.5)
    assert bars.extremes([]) == (None, None)


@pytest.mark.parametrize("factor", [1, 10, 100, 1000, 3, 0.5])
def test_volumes_are_exact_products_of_what_was_written(factor: float) -> None:
    chance = Random(f"volumes {factor}")
    written = [repr(round(chance.uniform(0, 10 ** chance.randint(0, 9)), chance.randint(0, 6))) for _ in range(2000)]
    body = {"volumeFactor": factor, "data": [{"t": 1_700_000_000_000, "v": float(text)} for text in written]}
    shown = [bar.volume for bar in bars.parse(body).bars]
    assert [Decimal(str(volume)) for volume in shown] == [Decimal(text) * Decimal(str(factor)) for text in written]
