"""Which lengths of time and bars IBKR has history of, and how people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from ibkr.errors import InvalidRequest

_SECONDS = {"min": 60, "h": 3600, "d": 86400, "w": 604800, "m": 2592000, "y": 31536000}
_PERIODS = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}
BARS = ("1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "3h", "4h", "8h", "1d", "1w", "1m")
_SIZE = re.compile(r"([1-9][0-9]{0,3})(min|h|d|w|m|y)")
_WORDS = re.compile(r"([0-9]{0,4}) ?([a-z]+)")
_UNITS = {
    "min": ("minute", "minutes", "mins", "mn"),
    "h": ("hour", "hours", "hr", "hrs", "hourly"),
    "d": ("day", "days", "daily"),
    "w": ("week", "weeks", "wk", "wks", "weekly"),
    "m": ("month", "months", "mo", "mos", "mth", "monthly"),
    "y": ("year", "years", "yr", "yrs", "yearly"),
}
_BY_WORD = {word: unit for unit, words in _UNITS.items() for word in (unit, *words)}
_TRADING_DAYS_A_WEEK = 5

# From this period on: smallest and largest bar (IBKR's step-size table), and what we take when none is asked for.
_STEPS = (
    ("1min", "1min", "1min", "1min"),
    ("1h", "1min", "8h", "1min"),
    ("1d", "1min", "8h", "5min"),
    ("2d", "1min", "8h", "30min"),
    ("1w", "10min", "1w", "1h"),
    ("1m", "1h", "1m", "1d"),
    ("3m", "2h", "1m", "1d"),
    ("6m", "4h", "1m", "1d"),
    ("1y", "8h", "1m", "1d"),
    ("2y", "1d", "1m", "1w"),
    ("6y", "1d", "1m", "1m"),
    ("15y", "1w", "1m", "1m"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked of IBKR (``period`` and ``bar``), and what of it was meant.

    ``newest``: only so many of the newest bars; ``since``: only bars from this day on.
    """

    period: str
    bar: str
    newest: int | None = None
    since: date | None = None


def choose(period: str, bar: str | None, today: date) -> Span:
    """The period and bar to ask for; InvalidRequest says what IBKR would take."""
    asked_bar = None if bar is None else _bar(bar)
    if period.strip().lower() == "ytd":
        days = max(1, (today - today.replace(month=1, day=1)).days)
        weeks = f"{max(1, days // 7 + 1)}w"
        return Span(weeks, _fitting(weeks, asked_bar), since=today.replace(month=1, day=1))
    length, unit = parse_size(period)
    if length > _PERIODS[unit]:
        allowed = ", ".join(f"1-{most}{unit}" for unit, most in _PERIODS.items())
        raise InvalidRequest(f"There is no history of {period[:20]}.", action=f"Choose a period of {allowed} or YTD.")
    asked = f"{length}{unit}"
    if unit == "d" and asked_bar == "1d" and length < 4 * _TRADING_DAYS_A_WEEK:
        # IBKR has no daily bars for less than a week.
        return Span(f"{length // _TRADING_DAYS_A_WEEK + 1}w", "1d", newest=length)
    return Span(asked, _fitting(asked, asked_bar))


def _bar(text: str) -> str:
    count, unit = parse_size(text)
    return "1h" if (count, unit) == (60, "min") else "1d" if (count, unit) == (24, "h") else f"{count}{unit}"


def _fitting(period: str, bar: str | None) -> str:
    usual, fitting = _steps(period)
    if bar is not None and bar not in fitting:
        raise InvalidRequest(f"There are no bars of {bar} for {period}.", action=f"Choose bar of {', '.join(fitting)}.")
    return bar or usual


def is_intraday(bar: str) -> bool:
    return seconds(bar) < seconds("1d")


def is_longer_than_a_day(bar: str) -> bool:
    return seconds(bar) > seconds("1d")


def intraday(span: Span) -> str:
    """The bar, or the largest below a day that the period may have; the bar again where all are longer."""
    shorter = [size for size in _steps(span.period)[1] if is_intraday(size)]
    return span.bar if is_intraday(span.bar) or not shorter else shorter[-1]


@cache
def _steps(period: str) -> tuple[str, list[str]]:
    """The bar that is usual for a period, and all that IBKR takes."""
    smallest, largest, usual = next(step[1:] for step in reversed(_STEPS) if seconds(step[0]) <= seconds(period))
    return usual, [size for size in BARS if seconds(smallest) <= seconds(size) <= seconds(largest)]


def parse_size(text: str) -> tuple[int, str]:
    """Count and unit of a length of time: ``5d``, ``6 months``, ``1day``, ``daily``. A capital M is a month too."""
    words = " ".join(text.strip().lower().split())
    found = _SIZE.fullmatch(words)
    if found is not None:
        return int(found[1]), found[2]
    spelled = _WORDS.fullmatch(words)
    if spelled is None or spelled[2] not in _BY_WORD or spelled[1] == "0":
        raise InvalidRequest(
            f"{text[:20]!r} is no length of time.", action="Write it like 30min, 8h, 5d, 2w, 3m (months), 1y or YTD."
        )
    return int(spelled[1] or 1), _BY_WORD[spelled[2]]


@cache
def seconds(text: str) -> int:
    count, unit = parse_size(text)
    return count * _SECONDS[unit]
