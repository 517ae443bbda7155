"""IBKR's calendar in New York time: midnight, the weekday reset at 01:00 and Saturday's maintenance. Epoch seconds."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
MAINTENANCE_SECONDS = 2 * 3600
_MIDNIGHT, _RESET, _MAINTENANCE = time(0), time(1), time(22)
_EVERY_DAY, _WEEKDAYS, _SATURDAY = range(7), range(5), (5,)


def next_midnight(epoch: float) -> float:
    """The first New York midnight after ``epoch``."""
    return _next(epoch, _MIDNIGHT, _EVERY_DAY)


def next_reset(epoch: float) -> float:
    """The first weekday reset of the brokerage side after ``epoch``."""
    return _next(epoch, _RESET, _WEEKDAYS)


def maintenance_after(epoch: float) -> tuple[float, float]:
    """Start and end of the first weekly maintenance that ends after ``epoch``."""
    start = _next(epoch - MAINTENANCE_SECONDS, _MAINTENANCE, _SATURDAY)
    return start, start + MAINTENANCE_SECONDS


def _next(epoch: float, at: time, weekdays: range | tuple[int, ...]) -> float:
    day = datetime.fromtimestamp(epoch, ZONE).date()
    while True:
        moment = datetime.combine(day, at, ZONE).timestamp()
        if moment > epoch and day.weekday() in weekdays:
            return moment
        day += timedelta(days=1)
