"""A picture of a price history. Pillow is loaded with the first one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, Any

from ib_mcp.formats.numbers import decimal

if TYPE_CHECKING:
    from PIL import ImageDraw

_WIDTH, _HEIGHT = 960, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 96, 40, 36
_VOLUME_SHARE = 0.18
_MOST_CANDLES = 180
_GRID_LINES, _TIME_LABELS = 6, 5
_PAPER, _INK, _GRID, _UP, _DOWN, _BAR = "#ffffff", "#222222", "#e4e4e4", "#1a7f4b", "#c0392b", "#b8c4d6"
_COLOURS = (
    "#1f4e8c",
    "#c0392b",
    "#1a7f4b",
    "#b8860b",
    "#6a3d9a",
    "#008b8b",
    "#d2691e",
    "#555555",
    "#c71585",
    "#2f4f4f",
)


@dataclass(frozen=True, slots=True)
class Candle:
    """``label`` is the time at the axis; a price that is not known is None and is not drawn."""

    label: str
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any


def draw(title: str, candles: Sequence[Candle]) -> bytes:
    """PNG: candles, or a line of closes where candles would be too thin; volume below.

    Prices become floats here, to place pixels only.
    """
    rows = [tuple(_number(value) for value in (c.open, c.high, c.low, c.close, c.volume)) for c in candles]
    known = [(place, row) for place, row in enumerate(rows) if row[3] is not None]

    def plot(pen: ImageDraw.ImageDraw) -> None:
        if not known:
            return
        lows = [value for _, row in known for value in row[:4] if value is not None]
        scale = _Scale(min(lows), max(lows), len(rows), has_volume=True)
        scale.grid(pen, [candle.label for candle in candles])
        _volumes(pen, scale, [row[4] or 0.0 for row in rows])
        if len(rows) > _MOST_CANDLES:
            pen.line([(scale.x(place), scale.y(row[3] or 0)) for place, row in known], fill=_INK, width=2)
        else:
            for place, row in known:
                _candle(pen, scale, place, [scale.y(value if value is not None else row[3] or 0) for value in row[:4]])
        scale.mark(pen, known[-1][1][3] or 0.0, _INK)

    return _picture(title, plot)


def compare(title: str, labels: Sequence[str], closes: Mapping[str, Sequence[Any]]) -> bytes:
    """PNG with a line for each name: its closes as percent of the first one that is known."""
    lines = {name: _rebased([_number(value) for value in values]) for name, values in closes.items()}

    def plot(pen: ImageDraw.ImageDraw) -> None:
        values = [value for line in lines.values() for value in line if value is not None]
        if not values:
            return
        scale = _Scale(min(values), max(values), len(labels), has_volume=False)
        scale.grid(pen, labels)
        for place, (name, line) in enumerate(lines.items()):
            colour = _COLOURS[place % len(_COLOURS)]
            points = [(scale.x(x), scale.y(value)) for x, value in enumerate(line) if value is not None]
            if len(points) > 1:
                pen.line(points, fill=colour, width=2)
            last = next((value for value in reversed(line) if value is not None), None)
            told = f"{name} {last:+.1f} %" if last is not None else f"{name} no data"
            pen.text((_LEFT + 8, _TOP + 4 + place * 14), told, fill=colour)

    return _picture(title, plot)


def _picture(title: str, plot: Any) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_LEFT, 12), title, fill=_INK)
    plot(pen)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _number(value: Any) -> float | None:
    known = decimal(value)
    return None if known is None else float(known)


def _rebased(line: Sequence[float | None]) -> list[float | None]:
    first = next((value for value in line if value), None)
    return [None if value is None or first is None else (value / first - 1) * 100 for value in line]


class _Scale:
    """From prices and places to pixels, with grid lines at round prices."""

    def __init__(self, low: float, high: float, count: int, *, has_volume: bool) -> None:
        span = (high - low) or abs(high) or 1.0
        self._low, self._high = low - span * 0.04, high + span * 0.04
        self.floor = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (_VOLUME_SHARE if has_volume else 0)
        self.step = (_WIDTH - _LEFT - _RIGHT) / max(count, 1)
        self._count = count

    def y(self, price: float) -> float:
        return float(self.floor - (price - self._low) / (self._high - self._low) * (self.floor - _TOP))

    def x(self, place: int) -> float:
        return _LEFT + (place + 0.5) * self.step

    def grid(self, pen: ImageDraw.ImageDraw, labels: Sequence[str]) -> None:
        for price in round_steps(self._low, self._high, _GRID_LINES):
            pen.line((_LEFT, self.y(price), _WIDTH - _RIGHT, self.y(price)), fill=_GRID)
            pen.text((_WIDTH - _RIGHT + 6, self.y(price) - 6), f"{price:,.8g}", fill=_INK)
        for part in range(_TIME_LABELS):
            place = round((self._count - 1) * part / (_TIME_LABELS - 1))
            left = min(self.x(place), _WIDTH - _RIGHT - 96)
            pen.text((left, _HEIGHT - _BOTTOM + 10), labels[place], fill=_INK)

    def mark(self, pen: ImageDraw.ImageDraw, price: float, colour: str) -> None:
        """The last price, at the right edge."""
        pen.rectangle((_WIDTH - _RIGHT + 2, self.y(price) - 8, _WIDTH - 4, self.y(price) + 8), fill=colour)
        pen.text((_WIDTH - _RIGHT + 6, self.y(price) - 6), f"{price:,.8g}", fill=_PAPER)


def round_steps(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round values between ``low`` and ``high``, evenly spaced by 1, 2 or 5 of a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = floor(low / step) + 1
    return [round(step * (first + place), 10) for place in range(most + 1) if step * (first + place) < high]


def _volumes(pen: ImageDraw.ImageDraw, scale: _Scale, volumes: Sequence[float]) -> None:
    busiest, base = max(volumes) or 1.0, _HEIGHT - _BOTTOM
    for place, volume in enumerate(volumes):
        tall = volume / busiest * (base - scale.floor - 8)
        half = scale.step * 0.35
        pen.rectangle((scale.x(place) - half, base - tall, scale.x(place) + half, base), fill=_BAR)


def _candle(pen: ImageDraw.ImageDraw, scale: _Scale, place: int, heights: list[float]) -> None:
    """``heights`` are open, high, low, close from the top of the picture."""
    opened, high, low, closed = heights
    colour = _UP if closed <= opened else _DOWN
    x = scale.x(place)
    pen.line((x, high, x, low), fill=colour)
    half = max(scale.step * 0.35, 0.5)
    pen.rectangle((x - half, min(opened, closed), x + half, max(opened, closed) + 0.5), fill=colour)
