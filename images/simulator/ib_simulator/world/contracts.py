"""What can be traded: the instrument tables and the derivatives that follow from them.

Stocks, indices, currencies, crypto and bonds are rows of two tables; the well-known ones carry their public conid.
Futures and options are not stored: their conid encodes underlying, expiry, strike and right, so any of them is known
for any date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from ib_simulator.world import forecast
from ib_simulator.world.contract import FUTURE_ROOTS, Contract, FutureRoot, expiry_of, third_friday
from ib_simulator.world.tables import bonds, listed

_EPOCH = date(2020, 1, 3)
"""The Friday that weekly option expiries are counted from."""

_OPTION_BASE, _FUTURE_BASE = 600_000_000, 520_000_000
_STRIKES_PER_EXPIRY, _EXPIRIES = 1024, 1024


class Contracts:
    """All instruments, by conid and by symbol."""

    def __init__(self) -> None:
        self._rows = {contract.conid: contract for contract in (*listed(), *bonds())}
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

    def option_kind(self, underlying: Contract) -> str:
        """OPT, or FOP where options are on the future."""
        root = self._roots.get(underlying.conid)
        return "FOP" if root is not None and root.exchange == "CME" else "OPT"

    def expiries(self, underlying: Contract, today: date) -> list[date]:
        """Of its options, nearest first: Fridays for six weeks, then third Fridays for two years."""
        friday = today + timedelta(days=(4 - today.weekday()) % 7)
        days = {expiry_of(friday + timedelta(weeks=week)) for week in range(6)}
        year, month = today.year, today.month
        for ahead in (*range(1, 7), 9, 12, 15, 18, 24):
            later = month - 1 + ahead
            days.add(third_friday(year + later // 12, later % 12 + 1))
        return sorted(day for day in days if day >= today)

    def strikes(self, underlying: Contract, price: float) -> list[float]:
        """The possible ones around ``price``; not each exists for each expiry (``is_listed``)."""
        step = underlying.strike_step
        middle = round(price / step)
        reach = max(8, min(40, middle // 3))
        return [round(step * place, 3) for place in range(max(1, middle - reach), middle + reach + 1)]

    def option(self, underlying: Contract, expiry: date, strike: float, right: str) -> Contract:
        place = self._optionable.index(underlying.conid)
        # A Thursday before a holiday belongs to its Friday.
        weeks = ((expiry - _EPOCH).days + 1) // 7
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
        kind = self.option_kind(underlying)
        strike = round(underlying.strike_step * steps, 3)
        return replace(
            underlying,
            conid=_OPTION_BASE + (code * _STRIKES_PER_EXPIRY + steps) * 2 + put,
            kind=kind,
            tick=0.05 if underlying.kind == "IND" else 0.01,
            multiplier=root.multiplier if root is not None and kind == "FOP" else 100.0,
            strike_step=0.0,
            underlying=underlying.conid,
            expiry=expiry_of(_EPOCH + timedelta(weeks=weeks)),
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
