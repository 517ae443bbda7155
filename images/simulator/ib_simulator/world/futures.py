"""Families of futures: what their months are called and when they expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from ib_simulator.world.hours import US_OPTIONS, nth_weekday


def is_business_day(day: date) -> bool:
    return day.weekday() < 5 and not US_OPTIONS.trading_day(US_OPTIONS.number_of(day)).closed


def expiry_of(friday: date) -> date:
    """``friday``, or the day before when New York is closed."""
    return friday if is_business_day(friday) else friday - timedelta(days=1)


def third_friday(year: int, month: int) -> date:
    """When the month's options and most futures expire: the Thursday if that Friday is a holiday."""
    return expiry_of(nth_weekday(year, month, 4, 3))


def business_days_before(day: date, count: int) -> date:
    """The ``count``-th business day before ``day``; ``day`` itself, or the last business day before it, for 0."""
    while not is_business_day(day):
        day -= timedelta(days=1)
    for _ in range(count):
        day -= timedelta(days=1)
        while not is_business_day(day):
            day -= timedelta(days=1)
    return day


def month_after(year: int, month: int, months: int = 1) -> tuple[int, int]:
    place = year * 12 + month - 1 + months
    return place // 12, place % 12 + 1


def _energy(year: int, month: int) -> date:
    """Three business days before the 25th of the month before the contract month."""
    return business_days_before(date(*month_after(year, month, -1), 25), 3)


def _metal(year: int, month: int) -> date:
    """The third last business day of the contract month."""
    return business_days_before(date(*month_after(year, month), 1), 3)


def _grain(year: int, month: int) -> date:
    """The business day before the 15th of the contract month."""
    return business_days_before(date(year, month, 14), 0)


@dataclass(frozen=True, slots=True)
class FutureRoot:
    """A family of futures on the index row ``index``: its size, its contract months, and ``expires`` of a month.

    Several families may share a symbol; ``trading_class`` tells them apart. ``options``: trading class of the options
    on its futures, empty where there are none.
    """

    index: int
    symbol: str
    exchange: str
    multiplier: float
    tick: float
    months: tuple[int, ...]
    listed: int
    carry: float
    expires: Callable[[int, int], date] = third_friday
    trading_class: str = ""
    options: str = ""

    @property
    def options_by_contract_month(self) -> bool:
        """Whether there is one option expiry a contract month, some days before the future's."""
        return bool(self.options) and self.expires is not third_friday


_QUARTERS, _EACH, _EVEN = (3, 6, 9, 12), tuple(range(1, 13)), (2, 4, 6, 8, 10, 12)
FUTURE_ROOTS: tuple[FutureRoot, ...] = (
    FutureRoot(11004968, "ES", "CME", 50, 0.25, _QUARTERS, 5, 0.028, options="ES"),
    FutureRoot(11004958, "NQ", "CME", 20, 0.25, _QUARTERS, 5, 0.033, options="NQ"),
    FutureRoot(362687422, "MES", "CME", 5, 0.25, _QUARTERS, 5, 0.028, options="MES"),
    FutureRoot(17340715, "CL", "NYMEX", 1000, 0.01, _EACH, 12, -0.01, _energy, options="LO"),
    FutureRoot(17340716, "GC", "COMEX", 100, 0.1, _EVEN, 6, 0.04, _metal, options="OG"),
    FutureRoot(11748850, "ZB", "CBOT", 1000, 0.03125, _QUARTERS, 3, -0.005),
    FutureRoot(825711, "DAX", "EUREX", 25, 1.0, _QUARTERS, 3, 0.018, trading_class="FDAX"),
    FutureRoot(825711, "DAX", "EUREX", 5, 1.0, _QUARTERS, 3, 0.018, trading_class="FDXM"),
    FutureRoot(825711, "DAX", "EUREX", 1, 1.0, _QUARTERS, 3, 0.018, trading_class="FDXS"),
    FutureRoot(17340717, "SI", "COMEX", 5000, 0.005, (3, 5, 7, 9, 12), 5, 0.04, _metal),
    FutureRoot(17340717, "SI", "COMEX", 1000, 0.005, (3, 5, 7, 9, 12), 5, 0.04, _metal, trading_class="SIL"),
    FutureRoot(11748851, "ZC", "CBOT", 5000, 0.0025, (3, 5, 7, 9, 12), 5, 0.02, _grain),
)
