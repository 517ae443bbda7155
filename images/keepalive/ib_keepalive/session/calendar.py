"""IBKR's calendar: when it is down by plan, and when a sign-in ends. All times are epoch seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_ZUG = ZoneInfo("Europe/Zurich")
_HONG_KONG = ZoneInfo("Asia/Hong_Kong")

_SATURDAY = 5
# IBKR announces no more than "Saturday evening"; these hours bound it generously.
_DOWN_FROM_HOUR = 18
_DOWN_FOR = timedelta(hours=10)

_LONGEST_SIGN_IN_S = 24 * 3600.0


def maintenance_until(wall: float) -> float | None:
    """When the maintenance that ``wall`` falls into ends, or None outside of it: Saturday evening in New York."""
    return _maintenance_until(int(wall // 60))


# Asked with every request of a caller; all these hours begin and end with a minute.
@lru_cache(maxsize=8)
def _maintenance_until(minute: int) -> float | None:
    local = datetime.fromtimestamp(minute * 60, NEW_YORK)
    saturday = local - timedelta(days=(local.weekday() - _SATURDAY) % 7)
    starts = saturday.replace(hour=_DOWN_FROM_HOUR, minute=0, second=0, microsecond=0)
    ends = starts + _DOWN_FOR
    return ends.timestamp() if starts <= local < ends else None


def sign_in_ends(wall: float, *, region: str | None, signed_in_at: float | None, sso_left_s: float | None) -> float:
    """An estimate of when the present sign-in ends.

    IBKR ends it at the next midnight of the serving region and after a day at most. ``sso_left_s`` is given only
    while IBKR's own count falls in spite of tickles.
    """
    ends = [_next_midnight(int(wall // 60), region)]
    if signed_in_at is not None and signed_in_at <= wall:
        ends.append(max(wall, signed_in_at + _LONGEST_SIGN_IN_S))
    if sso_left_s is not None:
        ends.append(wall + sso_left_s)
    return min(ends)


@lru_cache(maxsize=8)
def _next_midnight(minute: int, region: str | None) -> float:
    local = datetime.fromtimestamp(minute * 60, _zone(region))
    return (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _zone(region: str | None) -> ZoneInfo:
    """The clock of the data centre; IBKR's names of regions are not documented, New York serves most users."""
    name = (region or "").upper()
    if name.startswith(("EU", "CH", "ZUG")):
        return _ZUG
    if name.startswith(("AS", "HK", "HONG")):
        return _HONG_KONG
    return NEW_YORK
