"""When an order works and when it ends, by its time in force."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ib_simulator.world.contract import Contract
from ib_simulator.world.hours import NEW_YORK, TradingDay

TIMES_IN_FORCE = frozenset({"DAY", "GTC", "OPG", "IOC", "FOK", "PAX", "OVT", "OND"})
AT_CLOSE = frozenset({"MOC", "LOC"})
OUTSIDE = frozenset({"LMT", "STOP_LIMIT", "LIT", "TRAILLMT", "REL"})
"""Types that are filled outside regular hours where the ticket wants it."""

OPENING_S = 60.0
"""How long after the open an order for the open can be filled."""

CLOSING_S = 1.0
_PAX_S = 300.0
_OVERNIGHT = (20 * 60, 3 * 60 + 50)
"""From eight in the evening to ten to four, New York's time."""

_NEW_YORK = ZoneInfo(NEW_YORK)


def ends_at(contract: Contract, type_: str, tif: str, outside: bool, now: float) -> float | None:
    """Epoch second at which what is not filled is cancelled; None for at once, after the first try (IOC, FOK)."""
    outside = outside and type_ in OUTSIDE
    if tif in {"IOC", "FOK"}:
        return None
    if tif == "PAX":
        return now + _PAX_S
    if tif == "GTC":
        return _after_next_quarter(now)
    day = current_day(contract, now, outside=outside)
    if tif == "OPG":
        return _next_open(contract, now).open + OPENING_S
    if tif == "OVT":
        return _overnight_end(now)
    if tif == "OND":
        morning = _overnight_end(now)
        return current_day(contract, morning, outside=False).close
    if type_ in AT_CLOSE:
        return current_day(contract, now, outside=False).close
    return day.post if outside else day.close


def is_working(contract: Contract, type_: str, tif: str, outside: bool, now: float) -> bool:
    """Whether an order of this kind can be filled at ``now``."""
    market = contract.market
    day = market.at(now)
    if tif == "OPG":
        return day.open <= now < day.open + OPENING_S
    if type_ in AT_CLOSE:
        return day.close - CLOSING_S <= now < day.close
    if tif in {"OVT", "OND"} and _is_overnight(now):
        return True
    if tif == "OVT":
        return False
    return market.is_open(now, extended=outside and type_ in OUTSIDE)


def current_day(contract: Contract, now: float, *, outside: bool) -> TradingDay:
    """The trading day that an order of ``now`` is for: today's, or the next one after its end."""
    day = contract.market.at(now)
    return day if now < (day.post if outside else day.close) else contract.market.after(day)


def _next_open(contract: Contract, now: float) -> TradingDay:
    day = contract.market.at(now)
    return day if now < day.open else contract.market.after(day)


def _after_next_quarter(now: float) -> float:
    """The end of the calendar quarter after the present one."""
    day = datetime.fromtimestamp(now, _NEW_YORK).date()
    month = (day.month - 1) // 3 * 3 + 7
    year, month = day.year + (month - 1) // 12, (month - 1) % 12 + 1
    return datetime.combine(date(year, month, 1), time(), _NEW_YORK).timestamp()


def _is_overnight(now: float) -> bool:
    """Between eight in the evening and ten to four, on the nights before trading days."""
    local = datetime.fromtimestamp(now, _NEW_YORK)
    minute = local.hour * 60 + local.minute
    morning = local.date() + timedelta(days=minute >= _OVERNIGHT[0])
    return (minute >= _OVERNIGHT[0] or minute < _OVERNIGHT[1]) and morning.weekday() < 5


def _overnight_end(now: float) -> float:
    """Ten to four of the night that is on, or comes next."""
    local = datetime.fromtimestamp(now, _NEW_YORK)
    day = local.date() + timedelta(days=local.hour * 60 + local.minute >= _OVERNIGHT[1])
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return (datetime.combine(day, time(), _NEW_YORK) + timedelta(minutes=_OVERNIGHT[1])).timestamp()
