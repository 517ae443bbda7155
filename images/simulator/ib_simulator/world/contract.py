"""One instrument, and the families of futures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from ib_simulator.world.hours import NEW_YORK, US_OPTIONS, Hours, market_of, nth_weekday

Kind = str
"""STK, IND, CASH, CRYPTO, BOND, FUT, OPT or FOP, as IBKR's secType."""

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Contract:
    """One instrument. ``price`` and ``volatility`` start its path; a derivative has them from its underlying.

    ``feed``: R real time, D delayed, N not subscribed, H halted. ``path``: conid of the row whose price path (in
    percent) this one follows.
    """

    conid: int
    symbol: str
    kind: Kind
    exchange: str
    currency: str
    name: str
    price: float = 0.0
    volatility: float = 0.2
    feed: str = "R"
    sector: str = ""
    group: str = ""
    path: int = 0
    tick: float = 0.01
    multiplier: float = 1.0
    strike_step: float = 0.0
    underlying: int = 0
    expiry: date | None = None
    strike: float = 0.0
    right: str = ""
    trading_class: str = ""
    coupon: float = 0.0
    issuer_id: str = ""
    rating: str = ""

    @cached_property
    def market(self) -> Hours:
        return market_of(self.kind, self.exchange)

    @cached_property
    def decimals(self) -> int:
        """Digits after the point in prices."""
        text = f"{self.tick:.6f}".rstrip("0")
        return max(2, len(text.partition(".")[2]))

    @property
    def is_derivative(self) -> bool:
        return self.kind in {"FUT", "OPT", "FOP"}

    @property
    def is_us(self) -> bool:
        return self.market.zone == NEW_YORK

    @cached_property
    def expires_at(self) -> float:
        """Epoch second of the last trade; 0 for what does not expire."""
        if self.expiry is None:
            return 0.0
        return datetime(self.expiry.year, self.expiry.month, self.expiry.day, 16, tzinfo=ZoneInfo(NEW_YORK)).timestamp()

    @cached_property
    def month(self) -> str:
        """E.g. DEC26."""
        return "" if self.expiry is None else month_name(self.expiry)

    @cached_property
    def description(self) -> str:
        """The text that positions and orders show."""
        if self.expiry is None or self.kind == "BOND":
            if self.kind == "BOND" and self.expiry is not None:
                return f"{self.symbol} {self.coupon:g} {self.expiry:%m/%d/%y}"
            return f"{self.symbol}.{self.currency}" if self.kind == "CASH" else self.symbol
        if self.kind == "FUT":
            return f"{self.symbol}     {self.month[:3]}{self.expiry:%Y}"
        osi = f"{self.trading_class:<6}{self.expiry:%y%m%d}{self.right}{round(self.strike * 1000):08d}"
        name = f"{self.symbol:<6} {self.month[:3]}{self.expiry:%Y} {self.strike:g} {self.right}"
        return f"{name} [{osi} {self.multiplier:g}]"

    def rounded(self, price: float) -> float:
        """``price`` on the contract's tick."""
        return round(round(price / self.tick) * self.tick, self.decimals)


@dataclass(frozen=True, slots=True)
class FutureRoot:
    """A family of futures: its index row and how often one expires."""

    index: int
    symbol: str
    exchange: str
    multiplier: float
    tick: float
    months: tuple[int, ...]
    listed: int
    carry: float


_QUARTERS, _EACH = (3, 6, 9, 12), tuple(range(1, 13))
FUTURE_ROOTS: tuple[FutureRoot, ...] = (
    FutureRoot(11004968, "ES", "CME", 50, 0.25, _QUARTERS, 5, 0.028),
    FutureRoot(11004958, "NQ", "CME", 20, 0.25, _QUARTERS, 5, 0.033),
    FutureRoot(362687422, "MES", "CME", 5, 0.25, _QUARTERS, 5, 0.028),
    FutureRoot(17340715, "CL", "NYMEX", 1000, 0.01, _EACH, 12, -0.01),
    FutureRoot(17340716, "GC", "COMEX", 100, 0.1, (2, 4, 6, 8, 10, 12), 6, 0.04),
    FutureRoot(11748850, "ZB", "CBOT", 1000, 0.03125, _QUARTERS, 3, -0.005),
    FutureRoot(825711, "DAX", "EUREX", 25, 1.0, _QUARTERS, 3, 0.018),
)


def month_name(day: date) -> str:
    return f"{MONTHS[day.month - 1]}{day:%y}"


def parse_month(text: str) -> tuple[int, int] | None:
    """(year, month) of e.g. DEC26, or None."""
    if len(text) != 5 or text[:3].upper() not in MONTHS or not text[3:].isdecimal():
        return None
    return 2000 + int(text[3:]), MONTHS.index(text[:3].upper()) + 1


def third_friday(year: int, month: int) -> date:
    """When the month's options and futures expire: the Thursday if that Friday is a holiday."""
    return expiry_of(nth_weekday(year, month, 4, 3))


def expiry_of(friday: date) -> date:
    """``friday``, or the day before when New York is closed."""
    closed = US_OPTIONS.trading_day(US_OPTIONS.number_of(friday)).closed
    return friday - timedelta(days=1) if closed else friday
