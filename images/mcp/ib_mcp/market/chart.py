"""A picture of a price history. Pillow is loaded with the first one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import ImageDraw

_WIDTH, _HEIGHT = 960, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 96, 40, 36
_VOLUME_SHARE = 0.18
_MOST_CANDLES = 180
_PAPER, _INK, _GRID, _UP, _DOWN, _BAR = "#ffffff", "#222222", "#e4e4e4", "#1a7f4b", "#c0392b", "#b8c4d6"


def draw(title: str, bars: Sequence[tuple[Any, ...]]) -> bytes:
    """PNG of rows of ``bars.COLUMNS``: candles, or a line of closes where candles would be too thin; volume below.

    Prices become floats here, to place pixels only.
    """
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_LEFT, 12), title, fill=_INK)
    rows = [(bar[0], *(float(value or 0) for value in bar[1:])) for bar in bars]
    if rows:
        _plot(pen, rows)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _plot(pen: ImageDraw.ImageDraw, rows: list[tuple[Any, ...]]) -> None:
    low, high = min(row[3] for row in rows), max(row[2] for row in rows)
    span = (high - low) or abs(high) or 1.0
    low, high = low - span * 0.04, high + span * 0.04
    floor = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _VOLUME_SHARE
    step = (_WIDTH - _LEFT - _RIGHT) / len(rows)

    def y(price: float) -> float:
        return float(floor - (price - low) / (high - low) * (floor - _TOP))

    def x(place: int) -> float:
        return _LEFT + (place + 0.5) * step

    for part in range(6):
        price = low + (high - low) * part / 5
        pen.line((_LEFT, y(price), _WIDTH - _RIGHT, y(price)), fill=_GRID)
        pen.text((_WIDTH - _RIGHT + 6, y(price) - 6), f"{price:,.6g}", fill=_INK)
    for part in range(5):
        place = round((len(rows) - 1) * part / 4)
        pen.text((min(x(place), _WIDTH - _RIGHT - 90), _HEIGHT - _BOTTOM + 10), str(rows[place][0])[:16], fill=_INK)
    busiest = max(row[5] for row in rows) or 1.0
    for place, row in enumerate(rows):
        tall = row[5] / busiest * (_HEIGHT - _BOTTOM - floor - 8)
        base = _HEIGHT - _BOTTOM
        pen.rectangle((x(place) - step * 0.35, base - tall, x(place) + step * 0.35, base), fill=_BAR)
    if len(rows) > _MOST_CANDLES:
        pen.line([(x(place), y(row[4])) for place, row in enumerate(rows)], fill=_INK, width=2)
    else:
        for place, row in enumerate(rows):
            _candle(pen, x(place), step, [y(price) for price in row[1:5]])
    last = rows[-1][4]
    pen.rectangle((_WIDTH - _RIGHT + 2, y(last) - 8, _WIDTH - 4, y(last) + 8), fill=_INK)
    pen.text((_WIDTH - _RIGHT + 6, y(last) - 6), f"{last:,.8g}", fill=_PAPER)


def _candle(pen: ImageDraw.ImageDraw, x: float, step: float, heights: list[float]) -> None:
    """``heights`` are open, high, low, close from the top of the picture."""
    opened, high, low, closed = heights
    colour = _UP if closed <= opened else _DOWN
    pen.line((x, high, x, low), fill=colour)
    half = max(step * 0.35, 0.5)
    pen.rectangle((x - half, min(opened, closed), x + half, max(opened, closed) + 0.5), fill=colour)
