"""Price history: where its window ends, and what IBKR's answer holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import decimal, figure, plain
from ib_mcp.formats.times import iso
from ib_mcp.market.periods import is_intraday, seconds
from ib_mcp.market.sessions import Schedule
from ibkr.errors import InvalidRequest
from ibkr.field_values import Timing, availability

# Below this every whole float is the number that it was written as.
_EXACT = 2**53
_LATEST_MS = 10**14
_SHIFTS = frozenset({1, 10, 100, 1000, 10_000})
PRICES = ("open", "high", "low", "close", "volume")
# IBKR's bars of bid and ask: averages and extremes of two prices, not of one.
BID_ASK = ("average_bid", "highest_ask", "lowest_bid", "average_ask", "volume")
MOST_BARS = 1000
_DAY = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_DELAY_S = 900
_SATURDAY = 5


class Bar(NamedTuple):
    """``start`` in epoch seconds; the figures as answers show them."""

    start: float
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any

    @property
    def figures(self) -> tuple[Any, ...]:
        return self[1:]


@dataclass(frozen=True, slots=True)
class Bars:
    """Oldest first. ``lots``: the volume is in lots of unknown size, since IBKR's units cannot be parts of a share.

    ``unreadable``: for each bar that came without a time the one before it, None for the first.
    """

    bars: list[Bar]
    timing: Timing
    lots: bool = False
    unreadable: Sequence[Bar | None] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Where a window ends: at a moment, or with a day of the exchange. ``moment`` in epoch seconds."""

    moment: float
    day: date | None = None

    @property
    def text(self) -> str:
        """As IBKR's ``startTime``, which is where the window ends."""
        return datetime.fromtimestamp(self.moment, UTC).strftime("%Y%m%d-%H:%M:%S")


def parse_end(text: str, schedule: Schedule | None) -> End:
    """An ISO time (UTC when it has no offset); a date means to the end of that day at the exchange."""
    words = text.strip()
    try:
        if _DAY.fullmatch(words):
            day = date.fromisoformat(words)
            zone = schedule.zone if schedule else UTC
            return End(datetime.combine(day + timedelta(days=1), time(), zone).timestamp(), day)
        moment = datetime.fromisoformat(words)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return End(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{text[:40]!r} is no time.", action="Write end like 2026-11-20 or 2026-11-20T15:30:00Z."
        ) from None


def parse(body: dict[str, Any]) -> Bars:
    """Of IBKR's answer. Volume is in units (shares), which IBKR divides by a factor."""
    factor = decimal(body.get("volumeFactor")) or Decimal(1)
    shift = int(factor) if factor in _SHIFTS else 0
    bars: list[Bar] = []
    unreadable: list[Bar | None] = []
    for row in objects(body.get("data")):
        sent = row.get("t")
        # Bars come by the hundred with plain integers.
        start = sent / 1000 if type(sent) is int and 0 < sent < _LATEST_MS else _start(sent)
        if start is None:
            unreadable.append(bars[-1] if bars else None)
            continue
        # Figures come as floats, which stay as they are.
        first, high, low, last = [v if type(v) is float else figure(v) for v in map(row.get, "ohlc")]
        bars.append(Bar(start, first, high, low, last, _units(row.get("v"), shift) or _volume(row.get("v"), factor)))
    # IBKR's examples with the factor 1 have parts of a unit: then the unit is a lot.
    lots = factor == 1 and any(isinstance(bar.volume, float) for bar in bars)
    timing = availability(str(body.get("mdAvailability") or "")).timing
    # An empty window is answered with one bar without a time.
    return Bars(bars, timing, lots, unreadable if bars else [])


def _start(value: Any) -> float | None:
    known = decimal(value)
    return float(known) / 1000 if known is not None and 0 < known < _LATEST_MS else None


def _units(value: Any, shift: int) -> int | None:
    """``value`` times ``shift`` (a power of ten, or 0) where that is a whole number, else None.

    A float stands for one number of up to 15 digits only: the quotient, which has no more, is what was written.
    """
    if not shift or type(value) is not float or not 0 <= value < 10**9:
        return None
    whole = round(value * shift)
    return whole if whole / shift == value else None


def _volume(value: Any, factor: Decimal) -> Any:
    # Reading text as a number takes three times as long.
    known = Decimal(repr(value)) if type(value) is float and 0 <= value < _EXACT else decimal(value)
    # IBKR writes -1 for an unknown one.
    if known is None or known < 0:
        return None
    units = known * factor
    whole = int(units)
    return whole if whole == units and abs(whole) <= _EXACT else plain(units.normalize())


def when(bar: Bar, size: str, schedule: Schedule | None) -> str | None:
    """The time of a bar within the day; of a longer one the exchange's date of its first session, if known."""
    return times([bar], size, schedule)[0]


def times(bars: Iterable[Bar], size: str, schedule: Schedule | None) -> list[str | None]:
    """As ``when`` of each."""
    if is_intraday(size) or schedule is None:
        return [iso(bar.start) for bar in bars]
    return [day.isoformat() for day in schedule.session_days(bar.start for bar in bars)]


def is_unfinished(
    bar: Bar, size: str, schedule: Schedule | None, *, now: float, timing: Timing, extended: bool
) -> bool:
    """Whether trading in the newest bar goes on."""
    seen = now - _DELAY_S if timing == "delayed" else now
    if is_intraday(size):
        return seen < bar.start + seconds(size) and (schedule is None or schedule.is_open(now, extended=True))
    if schedule is None:
        return seen < bar.start + seconds(size)
    first = schedule.session_day(bar.start)
    if size == "1d":
        ends = schedule.end_of(first, extended=extended)
        return ends is not None and seen < ends
    return any(seen < end and _period(day, size) == _period(first, size) for day, end in _ends(schedule, now, extended))


def _ends(schedule: Schedule, now: float, extended: bool) -> Iterable[tuple[date, float]]:
    """Days with the ends of their trading: those that the schedule tells, then those that may be trading days."""
    windows = schedule.extended if extended else schedule.regular
    yield from ((window.day, window.closes) for window in windows)
    today = datetime.fromtimestamp(now, schedule.zone).date()
    told = max((window.day for window in windows), default=today - timedelta(days=1))
    for step in range(1, 32):
        day = told + timedelta(days=step)
        if day.weekday() < _SATURDAY:
            yield day, datetime.combine(day + timedelta(days=1), time(), schedule.zone).timestamp()


def _period(day: date, size: str) -> tuple[int, int]:
    """The week or the month that a day is in."""
    if size == "1w":
        week = day.isocalendar()
        return week.year, week.week
    return day.year, day.month


def extremes(bars: Sequence[Bar]) -> tuple[Any, Any]:
    """Highest high and lowest low, as they came; None where no bar has one."""
    highs = [bar.high for bar in bars if decimal(bar.high) is not None]
    lows = [bar.low for bar in bars if decimal(bar.low) is not None]
    return max(highs, key=_exact, default=None), min(lows, key=_exact, default=None)


def _exact(value: Any) -> Decimal:
    return decimal(value) or Decimal(0)
