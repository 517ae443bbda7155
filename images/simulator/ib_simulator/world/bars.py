"""Price history: windows and bars of every size that IBKR offers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from ib_simulator.world.contract import Contract
from ib_simulator.world.hours import Hours, TradingDay
from ib_simulator.world.market import Market
from ib_simulator.world.prices import Range

MAX_BARS = 1000
BEGINNING = date(2005, 1, 3)
"""Before this day there is no history."""

_UNITS = {"min": 60, "h": 3600, "d": 86400, "w": 604800, "m": 2592000, "y": 31536000}
_PERIODS = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}
_BARS = {"min": {1, 2, 3, 5, 10, 15, 30}, "h": {1, 2, 3, 4, 8}, "d": {1}, "w": {1}, "m": {1}}


@dataclass(frozen=True, slots=True)
class Size:
    """A count of units, e.g. 5 min; ``seconds`` is nominal for months and years."""

    count: int
    unit: str

    @property
    def seconds(self) -> int:
        return self.count * _UNITS[self.unit]


class Bar(NamedTuple):
    """``start`` in epoch seconds, ``volume`` in shares or contracts."""

    start: float
    end: float
    prices: Range
    volume: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was asked for. ``end`` None means up to now, the running bar included."""

    period: Size
    bar: Size
    end: float | None
    extended: bool


def parse_size(text: str) -> Size | None:
    found = re.fullmatch(r"(\d{1,4})(min|[hdwmy])", text)
    return None if found is None else Size(int(found[1]), found[2])


def parse_period(text: str) -> Size | None:
    """E.g. ``3m`` for three months; None when it is none of IBKR's."""
    size = parse_size(text)
    return size if size is not None and 1 <= size.count <= _PERIODS[size.unit] else None


def parse_bar(text: str) -> Size | None:
    """E.g. ``5min``; None when it is none of IBKR's."""
    size = parse_size(text)
    return size if size is not None and size.count in _BARS.get(size.unit, ()) else None


def _sizes(*texts: str) -> tuple[Size, ...]:
    return tuple(size for text in texts if (size := parse_size(text)) is not None)


_ALLOWED = (
    _sizes("1min", "1min", "1min"),
    _sizes("1h", "1min", "8h"),
    _sizes("1d", "1min", "8h"),
    _sizes("1w", "10min", "1w"),
    _sizes("1m", "1h", "1m"),
    _sizes("3m", "2h", "1m"),
    _sizes("6m", "4h", "1m"),
    _sizes("1y", "8h", "1m"),
    _sizes("2y", "1d", "1m"),
    _sizes("3y", "1d", "1m"),
    _sizes("15y", "1w", "1m"),
)
"""IBKR's step-size table: period, smallest and largest bar."""


def is_allowed(period: Size, bar: Size) -> bool:
    """Whether IBKR offers this bar size for this period.

    A period between two of the table's has the small bars of the shorter and the large bars of the longer one.
    """
    smallest = max(small.seconds for start, small, _ in _ALLOWED if start.seconds <= period.seconds)
    largest = min(large.seconds for start, _, large in _ALLOWED if start.seconds >= period.seconds)
    return smallest <= bar.seconds <= largest


def history(market: Market, contract: Contract, window: Window, now: float) -> list[Bar]:
    """The bars of ``window``, oldest first: the newest 1000 of them at most."""
    end = now if window.end is None else min(window.end, now)
    if end < datetime(BEGINNING.year, BEGINNING.month, BEGINNING.day, tzinfo=UTC).timestamp():
        return []
    whole = window.end is not None
    found: list[Bar] = []
    for bar in _backwards(market, contract, window, end, now):
        if whole and bar.end > end:
            continue
        found.append(bar)
        if len(found) == MAX_BARS:
            break
    found.reverse()
    return found


def _backwards(market: Market, contract: Contract, window: Window, end: float, now: float) -> Iterator[Bar]:
    hours = market.path(contract).market
    day = hours.at(end)
    if end <= day.open and not window.extended:
        day = hours.before(day)
    last = min(end, day.post if window.extended else day.close)
    start = _start(window, last, day, hours)
    if window.bar.unit in {"d", "w", "m"}:
        yield from _days(market, contract, window.bar, start, day, end, now)
        return
    while day.date >= BEGINNING and day.post > start:
        for low, high in reversed(_cuts(day, window)):
            if low < end and low >= start:
                yield _intraday(market, contract, day, low, high, now)
        day = hours.before(day)


def _start(window: Window, last: float, day: TradingDay, hours: Hours) -> float:
    """Where the window begins: days count trading days, longer units the calendar, shorter ones the clock."""
    period = window.period
    if period.unit in {"min", "h"}:
        return last - max(period.seconds, window.bar.seconds)
    if period.unit == "d":
        for _ in range(period.count - 1):
            day = hours.before(day)
        return day.pre
    moment = datetime.fromtimestamp(last, hours.timezone)
    if period.unit == "w":
        begin = moment - timedelta(weeks=period.count)
    else:
        months = period.count * (12 if period.unit == "y" else 1)
        place = moment.year * 12 + moment.month - 1 - months
        begin = moment.replace(year=place // 12, month=place % 12 + 1, day=min(moment.day, 28))
    return max(begin.timestamp(), 0.0)


def _cuts(day: TradingDay, window: Window) -> list[tuple[float, float]]:
    """The bars of one day, cut at the edges of pre, regular and post hours.

    Up to an hour they begin at round times of the clock, longer ones are counted from the edge.
    """
    step = window.bar.seconds
    parts = [(day.open, day.close)]
    if window.extended:
        parts = [(day.pre, day.open), *parts, (day.close, day.post)]
    found: list[tuple[float, float]] = []
    for begin, finish in parts:
        low = begin
        origin = begin - begin % 3600 if step <= 3600 else begin
        while low < finish:
            high = min(finish, low + step - (low - origin) % step)
            found.append((low, high))
            low = high
    return found


def _intraday(market: Market, contract: Contract, day: TradingDay, low: float, high: float, now: float) -> Bar:
    stop = min(high, now)
    prices = market.path(contract).between(low, stop, day)
    return Bar(low, high, market.range_of(contract, prices, low, stop), market.volume(contract, day, low, stop))


def _days(
    market: Market, contract: Contract, bar: Size, start: float, day: TradingDay, end: float, now: float
) -> Iterator[Bar]:
    """Daily bars, or weeks and months joined from them."""
    hours = market.path(contract).market
    pending: list[Bar] = []
    group: tuple[int, int] | None = None
    while day.date >= BEGINNING and day.close > start:
        if day.open < end:
            of_day = _day(market, contract, day, now)
            key = _group(bar, day)
            if key != group and pending:
                yield _joined(pending)
                pending = []
            group = key
            pending.append(of_day)
        day = hours.before(day)
    if pending:
        yield _joined(pending)


def _day(market: Market, contract: Contract, day: TradingDay, now: float) -> Bar:
    if now < day.close:
        return _intraday(market, contract, day, day.open, day.close, now)
    volume = market.volume(contract, day, day.open, day.close)
    return Bar(day.open, day.close, market.day(contract, day), volume)


def _group(bar: Size, day: TradingDay) -> tuple[int, int]:
    if bar.unit == "d":
        return (day.number, 0)
    if bar.unit == "w":
        return day.date.isocalendar()[:2]
    return (day.date.year, day.date.month)


def _joined(newest_first: list[Bar]) -> Bar:
    first, last = newest_first[-1], newest_first[0]
    prices = Range(
        first.prices.open,
        max(bar.prices.high for bar in newest_first),
        min(bar.prices.low for bar in newest_first),
        last.prices.close,
    )
    return Bar(first.start, last.end, prices, sum(bar.volume for bar in newest_first))
