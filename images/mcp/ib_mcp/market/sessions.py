"""When an instrument is traded, by IBKR's trading schedule: six days around today, in the exchange's zone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.guard.client import Guard
from ib_mcp.market.contract import Contract

# Days do not change within the hour, and the six days move on at midnight.
_REMEMBER_S = 3600.0
_BY_ROOT = frozenset({"FUT", "FOP"})
# A session that opens after this hour (futures, currencies) is that of the next day.
_EVENING = 15
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of trading of the exchange's day ``day``, in epoch seconds."""

    day: date
    opens: float
    closes: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """``regular`` and ``extended`` hours in order; the extended ones hold the regular ones."""

    zone: ZoneInfo
    regular: tuple[Window, ...]
    extended: tuple[Window, ...]

    def is_open(self, now: float, *, extended: bool = False) -> bool:
        return any(window.opens <= now < window.closes for window in (self.extended if extended else self.regular))

    def next_open(self, now: float) -> float | None:
        return min((window.opens for window in self.regular if window.opens > now), default=None)

    def next_close(self, now: float) -> float | None:
        """Of the session that is running, or of the next one."""
        return min((window.closes for window in self.regular if window.closes > now), default=None)

    def early_closes(self) -> set[date]:
        """Days that end earlier by the exchange's clock than most of these days."""
        last = {window.day: window.closes for window in self.regular}
        clock = {day: datetime.fromtimestamp(closes, self.zone).time() for day, closes in last.items()}
        usual = Counter(clock.values()).most_common(1)
        return {day for day, closes in clock.items() if usual and usual[0][1] > 1 and closes < usual[0][0]}

    def end_of(self, day: date, *, extended: bool) -> float | None:
        """When trading of ``day`` ends, None where the schedule does not hold it."""
        windows = self.extended if extended else self.regular
        return max((window.closes for window in windows if window.day == day), default=None)

    def opens_after(self, day: date) -> float:
        """From when on a session that opens is that of a later day than ``day``, in epoch seconds."""
        return datetime.combine(day, time(_EVENING), self.zone).timestamp()

    def session_day(self, opened: float) -> date:
        """The exchange's date of the session that opened then."""
        return self.session_days([opened])[0]

    def session_days(self, opened: Iterable[float]) -> list[date]:
        """As ``session_day`` of each."""
        moments = [datetime.fromtimestamp(each, self.zone) for each in opened]
        return [each.date() + _A_DAY if each.hour >= _EVENING else each.date() for each in moments]


def parse(body: dict[str, Any]) -> Schedule | None:
    """Of the answer of the trading schedule; None when it tells no zone that is known."""
    try:
        zone = ZoneInfo(str(body.get("exchange_time_zone") or ""))
    except (ZoneInfoNotFoundError, ValueError):
        return None
    days = sorted((body.get("schedules") or {}).items())
    return Schedule(zone, tuple(_windows(days, "liquid_hours")), tuple(_windows(days, "extended_hours")))


def _windows(days: Iterable[tuple[str, Any]], kind: str) -> Iterable[Window]:
    for day, hours in days:
        for window in objects(hours.get(kind)) if isinstance(hours, dict) else ():
            opens, closes = decimal(window.get("opening")), decimal(window.get("closing"))
            if opens is not None and closes is not None and len(day) == 8 and day.isdecimal():
                yield Window(date.fromisoformat(day), float(opens), float(closes))


class Sessions:
    """Schedules, remembered for an hour: products of one class on one exchange share theirs."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[tuple[str, ...], tuple[float, Schedule | None]] = {}

    async def of(self, contract: Contract) -> Schedule | None:
        """None where IBKR tells none. Raises what the guard does."""
        root = contract.root if contract.kind in _BY_ROOT else ""
        key = (contract.exchange, contract.kind, root) if contract.exchange != "SMART" else (str(contract.conid),)
        now = asyncio.get_running_loop().time()
        until, known = self._known.get(key, (0.0, None))
        if now < until:
            return known
        query = {"conid": contract.conid}
        found = parse((await self._guard.call("get_contract_trading_schedule", query=query)).object)
        self._known[key] = (now + _REMEMBER_S, found)
        return found
