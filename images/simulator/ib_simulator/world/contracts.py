"""What can be traded: the instrument tables and the derivatives that follow from them.

Stocks, indices, currencies, crypto and bonds are rows of two tables; the well-known ones carry their public conid.
Futures and options are not stored: their conid encodes underlying, expiry, strike and right, so any of them is known
for any date.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from zoneinfo import ZoneInfo

from . import forecast
from .hours import NEW_YORK, Hours, market_of, nth_weekday

Kind = str
"""STK, IND, CASH, CRYPTO, BOND, FUT, OPT or FOP, as IBKR's secType."""

_EPOCH = date(2020, 1, 3)
"""The Friday that weekly option expiries are counted from."""

_OPTION_BASE, _FUTURE_BASE = 600_000_000, 520_000_000
_STRIKES_PER_EXPIRY, _EXPIRIES = 1024, 1024
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
    if len(text) != 5 or text[:3].upper() not in MONTHS or not text[3:].isdigit():
        return None
    return 2000 + int(text[3:]), MONTHS.index(text[:3].upper()) + 1


def third_friday(year: int, month: int) -> date:
    return nth_weekday(year, month, 4, 3)


def _tick(kind: str, price: float) -> float:
    if kind == "CASH":
        return 0.00005 if price < 20 else 0.005
    if kind == "CRYPTO":
        return 0.25
    return 0.01 if price >= 1 else 0.0001


class Contracts:
    """All instruments, by conid and by symbol."""

    def __init__(self) -> None:
        self._rows = {contract.conid: contract for contract in (*_listed(), *_bonds())}
        self._by_symbol: dict[str, list[Contract]] = {}
        for contract in self._rows.values():
            self._by_symbol.setdefault(contract.symbol, []).append(contract)
        self._roots = {root.index: root for root in FUTURE_ROOTS}
        self._optionable = [contract.conid for contract in self._rows.values() if contract.strike_step]
        self._derived: dict[int, Contract] = {}

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._rows.values())

    def of_symbol(self, symbol: str) -> list[Contract]:
        return self._by_symbol.get(symbol, [])

    def get(self, conid: int) -> Contract | None:
        found = self._rows.get(conid) or self._derived.get(conid)
        if found is None:
            found = self._decode(conid)
            if found is not None:
                if len(self._derived) > 20_000:
                    self._derived.clear()
                self._derived[conid] = found
        return found

    def __getitem__(self, conid: int) -> Contract:
        found = self.get(conid)
        if found is None:
            raise KeyError(conid)
        return found

    def root_of(self, conid: int) -> FutureRoot | None:
        """The futures on the index row ``conid``."""
        return self._roots.get(conid)

    # Futures

    def futures(self, root: FutureRoot, today: date) -> list[Contract]:
        """Those not expired on ``today``, nearest first."""
        found: list[Contract] = []
        year, month = today.year, today.month
        while len(found) < root.listed:
            if month in root.months and third_friday(year, month) >= today:
                found.append(self[self._future_conid(root, year, month)])
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return found

    def _future_conid(self, root: FutureRoot, year: int, month: int) -> int:
        return _FUTURE_BASE + FUTURE_ROOTS.index(root) * 1000 + (year - 2020) * 12 + month

    def _future(self, code: int) -> Contract | None:
        place, months = divmod(code, 1000)
        if place >= len(FUTURE_ROOTS) or not 1 <= months <= 600:
            return None
        root = FUTURE_ROOTS[place]
        year, month = 2020 + (months - 1) // 12, (months - 1) % 12 + 1
        if month not in root.months:
            return None
        return replace(
            self._rows[root.index],
            conid=_FUTURE_BASE + code,
            kind="FUT",
            exchange=root.exchange,
            tick=root.tick,
            multiplier=root.multiplier,
            strike_step=0.0,
            underlying=root.index,
            expiry=third_friday(year, month),
            trading_class=root.symbol,
        )

    # Options

    def expiries(self, underlying: Contract, today: date) -> list[date]:
        """Of its options, nearest first: Fridays for six weeks, then third Fridays for two years."""
        weekly = today + timedelta(days=(4 - today.weekday()) % 7)
        days = {weekly + timedelta(weeks=week) for week in range(6)}
        year, month = today.year, today.month
        for ahead in (*range(1, 7), 9, 12, 15, 18, 24):
            later = month - 1 + ahead
            days.add(third_friday(year + later // 12, later % 12 + 1))
        return sorted(days)

    def strikes(self, underlying: Contract, price: float) -> list[float]:
        """The possible ones around ``price``; not each exists for each expiry (``is_listed``)."""
        step = underlying.strike_step
        middle = round(price / step)
        reach = max(8, min(40, middle // 3))
        return [round(step * place, 3) for place in range(max(1, middle - reach), middle + reach + 1)]

    def option(self, underlying: Contract, expiry: date, strike: float, right: str) -> Contract:
        place = self._optionable.index(underlying.conid)
        weeks = (expiry - _EPOCH).days // 7
        code = (place * _EXPIRIES + weeks) * _STRIKES_PER_EXPIRY + round(strike / underlying.strike_step)
        return self[_OPTION_BASE + code * 2 + (right == "P")]

    def _option(self, code: int) -> Contract | None:
        code, put = divmod(code, 2)
        code, steps = divmod(code, _STRIKES_PER_EXPIRY)
        place, weeks = divmod(code, _EXPIRIES)
        if place >= len(self._optionable) or not steps:
            return None
        underlying = self._rows[self._optionable[place]]
        root = self._roots.get(underlying.conid)
        future_option = root is not None and root.exchange == "CME"
        strike = round(underlying.strike_step * steps, 3)
        return replace(
            underlying,
            conid=_OPTION_BASE + (code * _STRIKES_PER_EXPIRY + steps) * 2 + put,
            kind="FOP" if future_option else "OPT",
            tick=0.05 if future_option or underlying.kind == "IND" else 0.01,
            multiplier=root.multiplier if root is not None and future_option else 100.0,
            strike_step=0.0,
            underlying=underlying.conid,
            expiry=_EPOCH + timedelta(weeks=weeks),
            strike=strike,
            right="P" if put else "C",
            trading_class=underlying.symbol,
        )

    def is_listed(self, underlying: Contract, expiry: date, strike: float, today: date) -> bool:
        """Whether a possible strike exists: far expiries have every second one only."""
        if expiry not in self.expiries(underlying, today):
            return False
        return (expiry - today).days < 75 or round(strike / underlying.strike_step) % 2 == 0

    def _event(self, conid: int) -> Contract | None:
        found = forecast.decode(conid)
        if found is None:
            return None
        question, expiry, strike, right = found
        return replace(
            self._rows[question.underlying],
            conid=conid,
            kind="OPT",
            underlying=question.underlying,
            expiry=expiry,
            strike=strike,
            right=right,
            trading_class=question.symbol,
        )

    def _decode(self, conid: int) -> Contract | None:
        if conid >= forecast.BASE:
            return self._event(conid)
        if conid >= _OPTION_BASE:
            return self._option(conid - _OPTION_BASE)
        if conid >= _FUTURE_BASE:
            return self._future(conid - _FUTURE_BASE)
        return None


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return iter(list(csv.DictReader(text.splitlines())))


@cache
def _listed() -> tuple[Contract, ...]:
    return tuple(
        Contract(
            conid=int(row["conid"]),
            symbol=row["symbol"],
            kind=row["kind"],
            exchange=row["exchange"],
            currency=row["currency"],
            name=row["name"],
            price=float(row["price"]),
            volatility=float(row["volatility"]),
            feed=row["feed"],
            sector=row["sector"],
            group=row["group"],
            path=int(row["follows"] or row["conid"]),
            tick=_tick(row["kind"], float(row["price"])),
            strike_step=float(row["strikes"] or 0),
            trading_class="NMS" if row["exchange"] == "NASDAQ" and row["kind"] == "STK" else row["symbol"],
        )
        for row in _rows("instruments.csv")
    )


@cache
def _bonds() -> tuple[Contract, ...]:
    return tuple(
        Contract(
            conid=int(row["conid"]),
            symbol=row["symbol"],
            kind="BOND",
            exchange="SMART",
            currency="USD",
            name=row["issuer"],
            price=float(row["price"]),
            volatility=0.05,
            feed="D",
            sector="Government" if row["symbol"] == "US-T" else "Corporate",
            group="Fixed Income",
            path=int(row["conid"]),
            tick=0.001,
            multiplier=10.0,
            expiry=date.fromisoformat(row["maturity"]),
            trading_class=row["symbol"],
            coupon=float(row["coupon"]),
            issuer_id=row["issuer_id"],
            rating=row["rating"],
        )
        for row in _rows("bonds.csv")
    )
