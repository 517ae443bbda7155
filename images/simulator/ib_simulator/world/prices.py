"""Price paths: a price for every moment, a function of the seed, the instrument and the time alone.

A path is a walk of trading days around a trend. Inside a day it runs through knots a quarter of an hour apart that
touch the day's high and low exactly, and between two knots it stays between them. So bars of every size, snapshots
and day ranges agree with each other, and any of them is cheap.
"""

from __future__ import annotations

from array import array
from datetime import date
from functools import cache
from math import exp, log, sqrt
from random import Random
from typing import NamedTuple

from ib_simulator.world.hours import Hours, TradingDay

ANCHOR = date(2026, 1, 2)
"""The day whose close is the price in the instrument table."""

_KNOT = 900.0
_FINE = 30
"""Steps between two knots, 30 s each."""

_PULL = 0.01
_OVERNIGHT = 0.3
"""The share of a day's move that happens before the open, where the market rests longer than an hour."""

_NOISE = 4096


@cache
def _noise(seed: int) -> array[float]:
    random = Random(f"{seed}/noise")
    return array("d", (random.random() - 0.5 for _ in range(_NOISE)))


class Range(NamedTuple):
    """Open, high, low and close, unrounded."""

    open: float
    high: float
    low: float
    close: float


class Path:
    """One instrument's price in its own currency. ``volatility`` and ``drift`` are per year."""

    def __init__(
        self, seed: int, key: int, price: float, volatility: float, market: Hours, *, drift: float = 0.0
    ) -> None:
        self.market = market
        self._seed = f"{seed}/{key}"
        self._anchor = market.number_of(ANCHOR)
        self._start = log(price)
        self._sigma = volatility / sqrt(252)
        self._drift = drift / 252
        self._up = Random(f"{self._seed}/up")
        self._down = Random(f"{self._seed}/down")
        self._later = [self._start]
        self._earlier = [self._start]
        self._days: dict[int, Range] = {}
        self._knots: dict[int, array[float]] = {}
        self._noise = _noise(seed)
        self._shift = key * 31
        pause = 1440 - (market.post - market.pre)
        self._overnight = _OVERNIGHT if pause > 60 else 0.0

    def day(self, number: int) -> Range:
        """The regular hours of trading day ``number`` (of the path's market)."""
        found = self._days.get(number)
        if found is None:
            found = self._days[number] = self._shape(number, self._close(number - 1), self._close(number))
        return found

    def _close(self, number: int) -> float:
        """The logarithm of the close, walked to from the anchor day; holidays keep the close before."""
        while self.market.trading_day(number).closed:
            number -= 1
        ahead = number - self._anchor
        closes, random, sign = (self._later, self._up, 1) if ahead >= 0 else (self._earlier, self._down, -1)
        drift, sigma = sign * self._drift, self._sigma
        while len(closes) <= abs(ahead):
            last, trend = closes[-1], self._start + drift * len(closes)
            closes.append(last + drift - _PULL * (last - trend) + sigma * random.gauss())
        return closes[abs(ahead)]

    def _shape(self, number: int, before: float, close: float) -> Range:
        if before == close and self.market.trading_day(number).closed:
            return Range(*(exp(before),) * 4)
        place = number * 3 + self._shift
        gap, up, down = (self._noise[(place + salt) % _NOISE] for salt in range(3))
        opening = before + (close - before) * self._overnight + 0.5 * self._sigma * gap * (self._overnight > 0)
        high = max(opening, close) + 1.1 * self._sigma * abs(up)
        low = min(opening, close) - 1.1 * self._sigma * abs(down)
        return Range(exp(opening), exp(high), exp(low), exp(close))

    def at(self, now: float) -> float:
        """The price at ``now``; between sessions the last one."""
        day = self.market.at(now)
        if day.open <= now < day.close:
            return self._inside(day, now)
        if now < day.open:
            start = self._after_hours(self.market.before(day))
            done = (now - day.pre) / (day.open - day.pre)
            return start + (self.day(day.number).open - start) * done
        close = self.day(day.number).close
        if day.post == day.close:
            return close
        done = min(1.0, (now - day.close) / (day.post - day.close))
        return close + (self._after_hours(day) - close) * done

    def _after_hours(self, day: TradingDay) -> float:
        """Where extended trading ends on that day."""
        close = self.day(day.number).close
        if day.post == day.close:
            return close
        gap: float = (self.day(self.market.after(day).number).open / close) ** _OVERNIGHT
        return close * gap

    def _inside(self, day: TradingDay, now: float) -> float:
        knots = self._knots_of(day)
        index, rest = divmod((now - day.open) / _KNOT, 1.0)
        place = int(index)
        fine, part = divmod(rest * _FINE, 1.0)
        step = int(fine)
        low = self._weight(day.number, place, step)
        weight = low + (self._weight(day.number, place, step + 1) - low) * part
        return knots[place] + (knots[place + 1] - knots[place]) * weight

    def _weight(self, number: int, place: int, step: int) -> float:
        """How far from one knot to the next, 0..1, at a fine step."""
        if step == 0:
            return 0.0
        if step == _FINE:
            return 1.0
        weight = step / _FINE + 0.6 * self._noise[(number * 7919 + place * 101 + step + self._shift) % _NOISE]
        return 0.0 if weight < 0.0 else min(weight, 1.0)

    def _knots_of(self, day: TradingDay) -> array[float]:
        knots = self._knots.get(day.number)
        if knots is None:
            if len(self._knots) > 400:
                self._knots.clear()
            knots = self._knots[day.number] = self._draw(day)
        return knots

    def _draw(self, day: TradingDay) -> array[float]:
        opening, high, low, close = self.day(day.number)
        count = round((day.close - day.open) / _KNOT)
        random = Random(f"{self._seed}/{day.number}")
        scale = 2.4 * self._sigma / sqrt(count)
        walk = [0.0]
        for _ in range(count):
            walk.append(walk[-1] + scale * (random.random() - 0.5))
        tilt = (log(close / opening) - walk[-1]) / count
        knots = array("d", (min(high, max(low, opening * exp(w + tilt * i))) for i, w in enumerate(walk)))
        knots[0], knots[count] = opening, close
        inner = range(1, count)
        top = max(inner, key=knots.__getitem__)
        bottom = min((i for i in inner if i != top), key=knots.__getitem__)
        knots[top], knots[bottom] = high, low
        return knots

    def between(self, start: float, end: float, day: TradingDay) -> Range:
        """The range of ``start``..``end``, both inside one part (pre, regular, post) of ``day``."""
        first, last = self._edge(start, day), self._edge(end, day)
        high, low = (first, last) if first > last else (last, first)
        if day.open <= start and end <= day.close and end > start:
            for price in self._touched(start, end, day):
                high, low = max(high, price), min(low, price)
        return Range(first, high, low, last)

    def _edge(self, moment: float, day: TradingDay) -> float:
        return self.day(day.number).close if moment == day.close else self.at(moment)

    def _touched(self, start: float, end: float, day: TradingDay) -> list[float]:
        """Knots and fine steps strictly inside; between two of them the path is straight or stays between knots."""
        knots, number = self._knots_of(day), day.number
        begin, stop = (start - day.open) / _KNOT, (end - day.open) / _KNOT
        first, last = -int(-begin // 1), int(stop)
        if first > last:
            return self._fine(knots, number, last, begin - last, stop - last)
        touched = list(knots[first : last + 1])
        if begin < first:
            touched += self._fine(knots, number, first - 1, begin - first + 1, 1.0)
        if stop > last:
            touched += self._fine(knots, number, last, 0.0, stop - last)
        return touched

    def _fine(self, knots: array[float], number: int, place: int, begin: float, stop: float) -> list[float]:
        a, span = knots[place], knots[place + 1] - knots[place]
        steps = range(int(begin * _FINE) + 1, -int(-stop * _FINE // 1))
        return [a + span * self._weight(number, place, step) for step in steps]


class MovedPath:
    """A path that stands ``factor`` times as high from ``since`` on."""

    def __init__(self, path: Path | MovedPath, factor: float, since: float) -> None:
        self._path, self._factor, self._since = path, factor, since
        self.market: Hours = path.market

    def at(self, now: float) -> float:
        return self._path.at(now) * (self._factor if now >= self._since else 1.0)

    def day(self, number: int) -> Range:
        day = self.market.trading_day(number)
        if day.closed or day.close <= self._since:
            return self._path.day(number)
        if day.open >= self._since:
            return self._scaled(self._path.day(number))
        return self.between(day.open, day.close, day)

    def between(self, start: float, end: float, day: TradingDay) -> Range:
        if end <= self._since:
            return self._path.between(start, end, day)
        if start >= self._since:
            return self._scaled(self._path.between(start, end, day))
        before = self._path.between(start, self._since, day)
        after = self._scaled(self._path.between(self._since, end, day))
        return Range(before.open, max(before.high, after.high), min(before.low, after.low), after.close)

    def _scaled(self, found: Range) -> Range:
        return Range(*(price * self._factor for price in found))
