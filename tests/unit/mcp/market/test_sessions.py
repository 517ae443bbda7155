"""Days and hours of an exchange, from IBKR's trading schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ib_mcp.market import sessions
from ib_mcp.market.sessions import Schedule


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def schedule(zone: str, **days: tuple[str, str]) -> Schedule:
    """Regular hours in UTC by day (``d20261127``), the extended ones an hour longer on both sides."""
    body: dict[str, Any] = {"exchange_time_zone": zone, "schedules": {}}
    for day, (opens, closes) in days.items():
        regular = {"opening": int(at(opens)), "closing": int(at(closes))}
        longer = {"opening": int(at(opens)) - 3600, "closing": int(at(closes)) + 3600}
        body["schedules"][day[1:]] = {"liquid_hours": [regular], "extended_hours": [longer]}
    found = sessions.parse(body)
    assert found is not None
    return found


NEW_YORK = schedule(
    "US/Eastern",
    d20261124=("2026-11-24T14:30", "2026-11-24T21:00"),
    d20261125=("2026-11-25T14:30", "2026-11-25T21:00"),
    d20261127=("2026-11-27T14:30", "2026-11-27T18:00"),
)


def test_what_is_open_now_and_what_comes_next() -> None:
    noon = at("2026-11-24T17:00")
    assert NEW_YORK.is_open(noon)
    assert NEW_YORK.next_close(noon) == at("2026-11-24T21:00")
    assert NEW_YORK.next_open(noon) == at("2026-11-25T14:30")
    evening = at("2026-11-24T21:30")
    assert not NEW_YORK.is_open(evening)
    assert NEW_YORK.is_open(evening, extended=True)
    assert NEW_YORK.next_close(at("2026-11-28T00:00")) is None


def test_a_half_day_is_an_early_close() -> None:
    assert NEW_YORK.early_closes() == {date(2026, 11, 27)}


@pytest.mark.parametrize(
    ("zone", "opened", "day"),
    [
        ("Australia/Sydney", "2026-01-04T23:00", "2026-01-05"),
        ("Pacific/Auckland", "2026-01-04T21:00", "2026-01-05"),
        ("Asia/Tokyo", "2026-11-24T00:00", "2026-11-24"),
        ("US/Eastern", "2026-11-24T14:30", "2026-11-24"),
        # Globex and currencies open in the evening, for the next day.
        ("US/Central", "2026-11-22T23:00", "2026-11-23"),
        ("US/Eastern", "2026-11-24T22:15", "2026-11-25"),
    ],
)
def test_a_session_has_the_date_of_its_exchange(zone: str, opened: str, day: str) -> None:
    assert schedule(zone).session_day(at(opened)).isoformat() == day


@pytest.mark.parametrize("body", [{}, {"exchange_time_zone": None}, {"exchange_time_zone": "Moon/Sea"}])
def test_without_a_zone_there_is_no_schedule(body: dict[str, Any]) -> None:
    assert sessions.parse(body) is None


@pytest.mark.parametrize("zone", ["US/Eastern", "Europe/London", "Australia/Sydney", "Asia/Tokyo"])
def test_a_day_ends_where_a_session_that_opens_is_that_of_a_later_day(zone: str) -> None:
    found = schedule(zone)
    for hour in range(0, 24 * 366, 5):
        opened = at("2026-01-01T00:30") + 3600 * hour
        day = found.session_day(opened)
        assert found.opens_after(day - timedelta(days=1)) <= opened < found.opens_after(day)
