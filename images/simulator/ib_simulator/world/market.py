"""Prices of contracts: paths for what has its own, formulas for what follows from an underlying."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from math import exp, pi, sin
from zoneinfo import ZoneInfo

from ib_simulator.world import options
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.hours import NEW_YORK, TradingDay
from ib_simulator.world.prices import MovedPath, Path, Range

DELAY_S = 900.0
"""How far delayed market data lags."""

_DRIFT = {"STK": 0.07, "CRYPTO": 0.1}
_DAILY_VOLUME = {"STK": 1.4e9, "FUT": 4.5e9, "FOP": 4e5, "OPT": 4e5, "CRYPTO": 5e7, "BOND": 2e5}
"""Money traded in a contract's shares (units for bonds) on an ordinary day."""
_NEW_YORK = ZoneInfo(NEW_YORK)
_KEPT_CLOSES = 20_000


def today(now: float) -> date:
    """The date in New York."""
    return datetime.fromtimestamp(now, _NEW_YORK).date()


class Market:
    """What every contract costs at any time."""

    def __init__(self, seed: int, contracts: Contracts) -> None:
        self._seed = seed
        self.contracts = contracts
        self._paths: dict[int, Path | MovedPath] = {}
        self._prior_closes: dict[int, tuple[int, float]] = {}
        self._figures: dict[tuple[int, int], tuple[int, tuple[float, float]]] = {}
        self._sizes: dict[int, float] = {}
        self._moves: dict[int, tuple[tuple[float, float], ...]] = {}
        self.version = 0
        """How often it was moved."""

    def copy(self) -> Market:
        """The same market, to be moved apart from this one; both share what they computed until then."""
        other = Market(self._seed, self.contracts)
        other._paths, other._prior_closes, other._figures = self._paths, self._prior_closes, self._figures
        return other

    def move(self, contract: Contract, factor: float, now: float) -> None:
        """From ``now`` on the path of ``contract`` stands ``factor`` times as high, for all that follow it."""
        key, since = self._followed(contract), self.traded_at(contract, now)
        self._moves = {**self._moves, key: (*self._moves.get(key, ()), (factor, since))}
        self._paths = {conid: path for conid, path in self._paths.items() if self.contracts[conid].path != key}
        self._prior_closes, self._figures = {}, {}
        self.version += 1

    def _followed(self, contract: Contract) -> int:
        """Whose path ``contract`` is on."""
        return self.contracts[contract.underlying if contract.right else contract.conid].path

    def set_size(self, contract: Contract, size: float | None) -> None:
        """How much of ``contract`` there is at bid and ask from now on; None for as much as ever."""
        self.version += 1
        if size is None:
            self._sizes.pop(contract.conid, None)
        else:
            self._sizes[contract.conid] = size

    def size(self, contract: Contract, side: str, now: float) -> float:
        """How much there is at the ``side``: ``bid``, ``ask`` or ``last``."""
        if contract.conid in self._sizes:
            return self._sizes[contract.conid]
        salt = {"ask": 2, "bid": 1, "last": 3}[side]
        noise = (contract.conid * 7919 + int(now * 2) * 104729 + salt * 1299709) % 15485863 % 24
        return (1.0 + noise) * (100_000 if contract.kind == "CASH" else 100 if contract.kind == "STK" else 1)

    def path(self, contract: Contract) -> Path | MovedPath:
        """The path that ``contract`` is on, or its underlying for a derivative."""
        conid = contract.underlying if contract.right else contract.conid
        found = self._paths.get(conid)
        if found is None:
            row = self.contracts[conid]
            drift = _DRIFT.get(self.contracts[row.path or conid].kind, 0.0)
            found = Path(self._seed, row.path, row.price, row.volatility, row.market, drift=drift)
            for factor, since in self._moves.get(row.path, ()):
                found = MovedPath(found, factor, since)
            self._paths[conid] = found
        return found

    def price(self, contract: Contract, now: float) -> float:
        """The last price on the contract's tick, in its currency (bonds: percent of par); the close when closed."""
        moment = self.traded_at(contract, now)
        return contract.rounded(self.transformed(contract, self.path(contract).at(moment), moment))

    @staticmethod
    def traded_at(contract: Contract, now: float) -> float:
        """``now`` while the contract trades, else the close of its last day."""
        day = contract.market.at(now)
        return now if now < day.post else day.close

    def transformed(self, contract: Contract, base: float, now: float) -> float:
        """The contract's price when its path stands at ``base``."""
        if contract.kind == "FUT":
            root = self.contracts.roots_of(contract.underlying)[0]
            return base * exp(root.carry * max(0.0, contract.expires_at - now) / options.YEAR)
        if contract.right:
            return self.greeks_at(contract, base, now).price
        return base

    def greeks(self, contract: Contract, now: float) -> options.Greeks:
        now = self.traded_at(contract, now)
        return self.greeks_at(contract, self.path(contract).at(now), now)

    @staticmethod
    def greeks_at(contract: Contract, spot: float, now: float) -> options.Greeks:
        years = (contract.expires_at - now) / options.YEAR
        if contract.exchange == "FORECASTX":
            return options.event(spot, contract.strike, years, contract.volatility, contract.right)
        volatility = options.smile(contract.volatility, spot, contract.strike, max(years, 0.0))
        return options.greeks(spot, contract.strike, years, volatility, contract.right)

    def spread(self, contract: Contract, price: float) -> tuple[float, float]:
        """Bid and ask around ``price``, never crossed and never below zero."""
        width = max(contract.tick, price * (0.01 if contract.right else 0.00008))
        bid = contract.rounded(max(0.0, price - width / 2))
        ask = contract.rounded(price + width / 2)
        return bid, ask if ask > bid else contract.rounded(bid + contract.tick)

    def range_of(self, contract: Contract, base: Range, start: float, end: float) -> Range:
        """The contract's open, high, low and close, when its path ran through ``base`` from ``start`` to ``end``."""
        if not contract.is_derivative:
            return Range(*(contract.rounded(price) for price in base))
        first = contract.rounded(self.transformed(contract, base.open, start))
        last = contract.rounded(self.transformed(contract, base.close, end))
        inner = [contract.rounded(self.transformed(contract, price, end)) for price in (base.high, base.low)]
        return Range(first, max(first, last, *inner), min(first, last, *inner), last)

    @staticmethod
    def seen_at(contract: Contract, now: float) -> float:
        """The moment that market data shows at ``now``: its last update, delayed, or when trading was halted."""
        now = last_update(now)
        if contract.feed == "D":
            return now - DELAY_S
        if contract.feed == "H":
            day = contract.market.at(now)
            return min(now, day.open)
        return now

    def year_range(self, contract: Contract, number: int) -> tuple[float, float]:
        """High and low of the 252 trading days up to ``number``."""
        return self._figure(contract, number, 0, self._year_range)

    def _year_range(self, contract: Contract, number: int, _: int) -> tuple[float, float]:
        days = [self.path(contract).day(day) for day in range(number - 251, number + 1)]
        return max(day.high for day in days), min(day.low for day in days)

    def average(self, contract: Contract, number: int, days: int) -> float:
        """The exponential moving average of closes before trading day ``number``."""
        return self._figure(contract, number, days, self._average)[0]

    def _average(self, contract: Contract, number: int, days: int) -> tuple[float, float]:
        path, weight = self.path(contract), 2 / (days + 1)
        mean = path.day(number - 2 * days).close
        for day in range(number - 2 * days + 1, number):
            mean += weight * (path.day(day).close - mean)
        return mean, mean

    def _figure(
        self,
        contract: Contract,
        number: int,
        days: int,
        compute: Callable[[Contract, int, int], tuple[float, float]],
    ) -> tuple[float, float]:
        """A figure that holds for a day, kept for that day."""
        found = self._figures.get((contract.conid, days))
        if found is None or found[0] != number:
            found = self._figures[contract.conid, days] = (number, compute(contract, number, days))
        return found[1]

    def prior_close(self, contract: Contract, now: float) -> float:
        """The close of the trading day before the one that ``now`` belongs to."""
        path = self.path(contract)
        day = path.market.before(path.market.at(now))
        found = self._prior_closes.get(contract.conid)
        if found is None or found[0] != day.number:
            if len(self._prior_closes) > _KEPT_CLOSES:
                self._prior_closes.clear()
            close = contract.rounded(self.transformed(contract, path.day(day.number).close, day.close))
            found = self._prior_closes[contract.conid] = (day.number, close)
        return found[1]

    def day(self, contract: Contract, day: TradingDay) -> Range:
        """The regular hours of a whole trading day."""
        return self.range_of(contract, self.path(contract).day(day.number), day.open, day.close)

    def volume(self, contract: Contract, day: TradingDay, start: float, end: float) -> int:
        """Shares or contracts traded from ``start`` to ``end`` within the regular hours of ``day``."""
        if contract.kind not in _DAILY_VOLUME:
            return 0
        liveliness = (contract.conid * 2654435761 + day.number * 40503) % 1009 / 1009
        whole = self.average_volume(contract) * (0.5 + liveliness)
        length = day.close - day.open
        return round(whole * (_traded((end - day.open) / length) - _traded((start - day.open) / length)))

    @staticmethod
    def average_volume(contract: Contract) -> float:
        """Of an ordinary day, in shares or contracts."""
        shares = _DAILY_VOLUME.get(contract.kind, 0.0) / max(1.0, contract.price)
        return shares / 40 if contract.kind == "FUT" else shares

    def in_dollars(self, currency: str, now: float) -> float:
        """US dollars for one unit of ``currency``; 0 for an unknown one."""
        if currency == "USD":
            return 1.0
        for pair in self.contracts.of_symbol(currency):
            if pair.kind == "CASH":
                return self.path(pair).at(now)
        for pair in self.contracts.of_symbol("USD"):
            if pair.currency == currency:
                return 1.0 / self.path(pair).at(now)
        return 0.0

    def rate(self, source: str, target: str, now: float) -> float:
        """Units of ``target`` for one of ``source``; 0 when either is unknown."""
        into = self.in_dollars(target, now)
        return self.in_dollars(source, now) / into if into else 0.0


def last_update(now: float) -> float:
    """Market data changes twice a second."""
    return int(now * 2) / 2


def _traded(part: float) -> float:
    """The share of a day's volume that is done when ``part`` of the day is over: busy at both ends."""
    part = min(1.0, max(0.0, part))
    return part + 0.5 * sin(2 * pi * part) / (2 * pi)
