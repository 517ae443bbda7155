"""One instrument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from ib_simulator.world.hours import NEW_YORK, US_OPTIONS, Hours, market_of, nth_weekday

Kind = str
"""IBKR's secType: STK, IND, CASH, CRYPTO, CMDTY, FUND, CFD, BOND, BILL, FUT, OPT, FOP, WAR or IOPT."""

DERIVATIVES = frozenset({"FUT", "OPT", "FOP", "WAR", "IOPT"})
DEBT = frozenset({"BOND", "BILL"})

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Contract:
    """One instrument. ``price`` and ``volatility`` start its path; a derivative has them from its underlying.

    ``price`` and ``tick`` are in the currency; market data and orders are in ``magnifier`` parts of it (100: pence,
    cents). ``feed``: R real time, D delayed, N not subscribed, H halted. ``path``: conid of the row whose price path
    (in percent) this one follows. ``delivery``: the first day of the contract month, where that is not the month of
    expiry. ``future``: conid of the future that an option is on. ``adjusted``: an option of a series that a corporate
    action changed.
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
    magnifier: int = 1
    delivery: date | None = None
    future: int = 0
    adjusted: bool = False
    isin: str = ""
    cusip: str = ""

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
        return self.kind in DERIVATIVES

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
        """The contract month, e.g. DEC26."""
        day = self.delivery or self.expiry
        return "" if day is None else month_name(day)

    @cached_property
    def is_debt(self) -> bool:
        return self.kind in DEBT

    @cached_property
    def quoted_decimals(self) -> int:
        """Digits after the point in market data and orders."""
        return max(2, self.decimals - 2) if self.magnifier > 1 else self.decimals

    def quoted(self, price: float) -> float:
        """``price`` as market data and orders have it."""
        return round(price * self.magnifier, self.quoted_decimals) if self.magnifier > 1 else price

    @cached_property
    def description(self) -> str:
        """The text that positions and orders show."""
        if self.expiry is None:
            return f"{self.symbol}.{self.currency}" if self.kind == "CASH" else self.symbol
        if self.is_debt:
            return f"{self.symbol} {self.coupon:g} {self.expiry:%m/%d/%y}"
        year = (self.delivery or self.expiry).year
        if self.kind == "FUT":
            return f"{self.symbol}     {self.month[:3]}{year}"
        osi = f"{self.trading_class:<6}{self.expiry:%y%m%d}{self.right}{round(self.strike * 1000):08d}"
        name = f"{self.symbol:<6} {self.month[:3]}{year} {self.strike:g} {self.right}"
        return f"{name} [{osi} {self.multiplier:g}]"

    def trait(self, salt: int, below: int) -> int:
        """A number under ``below`` that belongs to the instrument."""
        return (self.conid * 2654435761 + salt * 40503) % 1000003 % below

    def rounded(self, price: float) -> float:
        """``price`` on the contract's tick."""
        return round(round(price / self.tick) * self.tick, self.decimals)


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
