"""Which price history IBKR can be asked for, and what its answer holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

from ib_mcp.formats.numbers import decimal, figure, plain
from ib_mcp.formats.times import iso_ms
from ibkr.errors import InvalidRequest
from ibkr.field_values import Timing, availability

# Below this every whole float is the number that it was written as.
_EXACT = 2**53
COLUMNS = ("time", "open", "high", "low", "close", "volume")

_SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 604800, "m": 2592000, "y": 31536000}
_PERIODS = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}
BARS = ("1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "8h", "1d", "1w", "1m")
_SIZE = re.compile(r"([1-9][0-9]{0,3})(min|h|d|w|m|y)")

# From this period on: smallest and largest bar (IBKR's step-size table), and what we take when none is asked for.
_STEPS = (
    ("1min", "1min", "1min", "1min"),
    ("1h", "1min", "8h", "1min"),
    ("1d", "1min", "8h", "5min"),
    ("1w", "10min", "1w", "1h"),
    ("1m", "1h", "1m", "1d"),
    ("3m", "2h", "1m", "1d"),
    ("6m", "4h", "1m", "1d"),
    ("1y", "8h", "1m", "1d"),
    ("2y", "1d", "1m", "1w"),
    ("15y", "1w", "1m", "1w"),
)


@dataclass(frozen=True, slots=True)
class Bars:
    """``bars`` are oldest first; ``timing`` is that of their availability, whose letters are those of a quote's."""

    bars: list[tuple[Any, ...]]
    timing: Timing


def choose(period: str, bar: str | None) -> tuple[str, str]:
    """The period and bar to ask for; InvalidRequest says what IBKR would take."""
    length, unit = _size(period)
    if length > _PERIODS[unit]:
        allowed = ", ".join(f"1-{most}{unit}" for unit, most in _PERIODS.items())
        raise InvalidRequest(f"There is no history of {period}.", action=f"Choose a period of {allowed} (m is month).")
    usual, fitting = _steps(period)
    chosen = bar.strip().lower() if bar else usual
    if chosen not in fitting:
        raise InvalidRequest(
            f"There are no bars of {chosen[:20]} for {period}.", action=f"Choose bar of {', '.join(fitting)}."
        )
    return period, chosen


def is_intraday(bar: str) -> bool:
    return _seconds(bar) < _seconds("1d")


def intraday(period: str, bar: str) -> str:
    """``bar``, or the largest below a day that ``period`` may have; ``bar`` again where all are longer."""
    shorter = [size for size in _steps(period)[1] if is_intraday(size)]
    return bar if is_intraday(bar) or not shorter else shorter[-1]


def _steps(period: str) -> tuple[str, list[str]]:
    """The bar that is usual for a period, and all that IBKR takes."""
    smallest, largest, usual = next(step[1:] for step in reversed(_STEPS) if _seconds(step[0]) <= _seconds(period))
    return usual, [size for size in BARS if _seconds(smallest) <= _seconds(size) <= _seconds(largest)]


def _size(text: str) -> tuple[int, str]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            f"{text[:20]!r} is no length of time.", action="Write it like 30min, 8h, 5d, 2w, 3m (months) or 1y."
        )
    return int(found[1]), found[2]


@cache
def _seconds(text: str) -> int:
    count, unit = _size(text)
    return count * _SECONDS[unit]


def end_text(end: str) -> str:
    """An ISO time (UTC when it has no offset) as IBKR's ``startTime``, which is where the window ends."""
    try:
        moment = datetime.fromisoformat(end.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{end[:40]!r} is no time.", action="Write end like 2026-11-20T15:30:00Z.") from None
    return moment.strftime("%Y%m%d-%H:%M:%S")


def parse(body: dict[str, Any]) -> Bars:
    """IBKR's answer as rows of ``COLUMNS``. Volume is in units (shares), which IBKR divides by a factor."""
    factor = decimal(body.get("volumeFactor")) or Decimal(1)
    bars = [
        (
            iso_ms(bar["t"]),
            figure(bar.get("o")),
            figure(bar.get("h")),
            figure(bar.get("l")),
            figure(bar.get("c")),
            _volume(bar.get("v"), factor),
        )
        for bar in body.get("data") or ()
        # An empty window is answered with one bar without a time.
        if isinstance(bar, dict) and bar.get("t")
    ]
    return Bars(bars, availability(str(body.get("mdAvailability") or "")).timing)


def _volume(value: Any, factor: Decimal) -> Any:
    # Bars come by the hundred, and reading text as a number takes three times as long.
    known = Decimal(repr(value)) if isinstance(value, float) and isfinite(value) else decimal(value)
    if known is None:
        return None
    units = known * factor
    whole = int(units)
    return whole if whole == units and abs(whole) <= _EXACT else plain(units.normalize())


def extremes(bars: Sequence[tuple[Any, ...]]) -> tuple[Any, Any]:
    """Highest high and lowest low, as they came."""
    return max((bar[2] for bar in bars), key=_exact), min((bar[3] for bar in bars), key=_exact)


def _exact(value: Any) -> Decimal:
    return decimal(value) or Decimal(0)
