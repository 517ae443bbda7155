"""Series of options: which there are on an underlying, and the conids that encode them.

A series is an underlying, a trading class and a multiplier. Options are not stored: a conid encodes the place of the
underlying among those with options, the series, the week of expiry, the strike in steps, and the right.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from ib_simulator.world.contract import Contract
from ib_simulator.world.futures import FutureRoot, business_days_before, expiry_of, month_after, third_friday

BASE = 600_000_000
_FURTHER_BASE, _SPAN = 1_200_000_000, 140_000_000
_STRIKES, _WEEKS = 1024, 1024
_EPOCH = date(2020, 1, 3)
"""The Friday that weeks of expiry are counted from."""

STANDARD, AFTERNOON, ADJUSTED = range(3)
"""Of one underlying, expiry, strike and right there may be one option of each series."""

_AFTERNOON_CLASSES = {"SPX": "SPXW", "NDX": "NDXP"}
"""Index options that settle in the afternoon; on third Fridays beside those that settle in the morning."""

_ADJUSTED = {11031: ("2PFE", 150.0)}
"""Class and multiplier of series that a corporate action changed, by underlying."""


class Code(NamedTuple):
    """What a conid of an option encodes; ``place`` among the underlyings with options, ``week`` of expiry."""

    series: int
    place: int
    week: int
    steps: int
    right: str


def encode(code: Code) -> int:
    number = ((code.place * _WEEKS + code.week) * _STRIKES + code.steps) * 2 + (code.right == "P")
    return BASE + number if code.series == STANDARD else _FURTHER_BASE + (code.series - 1) * _SPAN + number


def decode(conid: int) -> Code | None:
    """None when ``conid`` is none of an option."""
    if conid >= _FURTHER_BASE:
        series, number = divmod(conid - _FURTHER_BASE, _SPAN)
        series += 1
    else:
        series, number = STANDARD, conid - BASE
    number, put = divmod(number, 2)
    number, steps = divmod(number, _STRIKES)
    place, week = divmod(number, _WEEKS)
    return Code(series, place, week, steps, "P" if put else "C") if steps and series <= ADJUSTED else None


def week_of(expiry: date) -> int:
    """The week that ``expiry`` falls in; weeks end on Fridays."""
    return ((expiry - _EPOCH).days + 6) // 7


def expiry_in(week: int, root: FutureRoot | None) -> date:
    """The day of ``week`` on which options expire, on the futures of ``root`` if given."""
    friday = _EPOCH + timedelta(weeks=week)
    if root is None or not root.options_by_contract_month:
        return expiry_of(friday)
    found = expiry_of(friday)
    for ahead in range(3):
        day = option_expiry(root, *month_after(friday.year, friday.month, ahead))
        found = day if week_of(day) == week else found
    return found


def option_expiry(root: FutureRoot, year: int, month: int) -> date:
    """When the options of a contract month expire, where there is one such day a month."""
    return business_days_before(root.expires(year, month), 3)


def delivery_of(root: FutureRoot, expiry: date) -> date:
    """The first day of the contract month whose options expire on ``expiry``."""
    months = [date(*month_after(expiry.year, expiry.month, ahead), 1) for ahead in range(3)]
    return next((first for first in months if option_expiry(root, first.year, first.month) == expiry), months[0])


def is_third_friday(expiry: date) -> bool:
    return expiry == third_friday(expiry.year, expiry.month)


def series_of(underlying: Contract, expiry: date, today: date) -> list[int]:
    """The series that have options on ``underlying`` expiring on ``expiry``."""
    found = [STANDARD]
    if underlying.symbol in _AFTERNOON_CLASSES and underlying.kind == "IND" and is_third_friday(expiry):
        found.append(AFTERNOON)
    if underlying.conid in _ADJUSTED and is_third_friday(expiry) and (expiry - today).days < 150:
        found.append(ADJUSTED)
    return found


def trading_class(underlying: Contract, root: FutureRoot | None, series: int, expiry: date) -> str:
    if series == ADJUSTED:
        return _ADJUSTED[underlying.conid][0] if underlying.conid in _ADJUSTED else underlying.symbol
    if root is not None and root.options:
        if root.options_by_contract_month or (is_third_friday(expiry) and expiry.month in root.months):
            return root.options
        return f"E{'W' if root.symbol == 'ES' else root.symbol[0]}{(expiry.day - 1) // 7 + 1}"
    afternoon = _AFTERNOON_CLASSES.get(underlying.symbol)
    if afternoon is not None and (series == AFTERNOON or not is_third_friday(expiry)):
        return afternoon
    return underlying.symbol


def multiplier(underlying: Contract, root: FutureRoot | None, series: int) -> float:
    if series == ADJUSTED:
        return _ADJUSTED[underlying.conid][1] if underlying.conid in _ADJUSTED else 100.0
    return root.multiplier if root is not None and root.options else 100.0
