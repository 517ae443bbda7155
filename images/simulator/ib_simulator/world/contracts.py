"""What can be traded: the instrument tables and the derivatives that follow from them.

Everything but futures and options is a row of a table; the well-known ones carry their public conid. Futures and
options are not stored: their conid encodes what they are, so any of them is known for any date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from ib_simulator.world import forecast, option_series
from ib_simulator.world.contract import Contract
from ib_simulator.world.futures import FUTURE_ROOTS, FutureRoot, expiry_of, month_after, third_friday
from ib_simulator.world.option_series import ADJUSTED, STANDARD, Code
from ib_simulator.world.tables import bonds, listed, warrants

_FUTURE_BASE = 520_000_000


class Contracts:
    """All instruments, by conid and by symbol."""

    def __init__(self) -> None:
        self._rows = {contract.conid: contract for contract in (*listed(), *bonds(), *warrants())}
        self._by_symbol: dict[str, list[Contract]] = {}
        self._by_identifier: dict[str, list[Contract]] = {}
        for contract in self._rows.values():
            self._by_symbol.setdefault(contract.symbol, []).append(contract)
            for identifier in filter(None, (contract.isin, contract.cusip)):
                self._by_identifier.setdefault(identifier, []).append(contract)
        self._roots: dict[int, list[FutureRoot]] = {}
        for root in FUTURE_ROOTS:
            self._roots.setdefault(root.index, []).append(root)
        self._optionable = [contract.conid for contract in self._rows.values() if contract.strike_step]
        self._derived: dict[int, Contract] = {}

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._rows.values())

    def of_symbol(self, symbol: str) -> list[Contract]:
        return self._by_symbol.get(symbol, [])

    def of_identifier(self, text: str) -> list[Contract]:
        """Every listing of the security with this ISIN or CUSIP."""
        return self._by_identifier.get(text, [])

    def derived_on(self, conid: int, kind: str) -> list[Contract]:
        """CFDs, warrants or issuer options on the row ``conid``."""
        return [contract for contract in self._rows.values() if contract.kind == kind and contract.underlying == conid]

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

    def roots_of(self, conid: int) -> list[FutureRoot]:
        """The families of futures on the index row ``conid``."""
        return self._roots.get(conid, [])

    # Futures

    def futures(self, root: FutureRoot, today: date) -> list[Contract]:
        """Those not expired on ``today``, nearest first."""
        found: list[Contract] = []
        year, month = today.year, today.month
        while len(found) < root.listed:
            if month in root.months and root.expires(year, month) >= today:
                found.append(self[self._future_conid(root, year, month)])
            year, month = month_after(year, month)
        return found

    def futures_on(self, conid: int, today: date) -> list[Contract]:
        """The futures of every family on the index row ``conid``."""
        return [future for root in self.roots_of(conid) for future in self.futures(root, today)]

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
            magnifier=100 if root.symbol == "ZC" else 1,
            multiplier=root.multiplier,
            strike_step=0.0,
            underlying=root.index,
            expiry=root.expires(year, month),
            delivery=date(year, month, 1),
            trading_class=root.trading_class or root.symbol,
        )

    # Options

    def _option_root(self, conid: int) -> FutureRoot | None:
        """The family whose futures the options on ``conid`` are on, None where they are on the row itself."""
        return next((root for root in self.roots_of(conid) if root.options), None)

    def option_kind(self, underlying: Contract) -> str:
        """OPT, or FOP where options are on the future."""
        return "OPT" if self._option_root(underlying.conid) is None else "FOP"

    def expiries(self, underlying: Contract, today: date) -> list[date]:
        """Of its options, nearest first: Fridays for six weeks, then third Fridays for two years."""
        root = self._option_root(underlying.conid)
        if root is not None and root.options_by_contract_month:
            months = (month_after(today.year, today.month, ahead) for ahead in range(10))
            days = {option_series.option_expiry(root, *month) for month in months if month[1] in root.months}
            return sorted(day for day in days if day >= today)
        friday = today + timedelta(days=(4 - today.weekday()) % 7)
        days = {expiry_of(friday + timedelta(weeks=week)) for week in range(6)}
        for ahead in (*range(1, 7), 9, 12, 15, 18, 24):
            days.add(third_friday(*month_after(today.year, today.month, ahead)))
        return sorted(day for day in days if day >= today)

    def option_month(self, underlying: Contract, expiry: date) -> date:
        """The first day of the month that options expiring on ``expiry`` are asked for by."""
        root = self._option_root(underlying.conid)
        if root is not None and root.options_by_contract_month:
            return option_series.delivery_of(root, expiry)
        return expiry.replace(day=1)

    def strikes(self, underlying: Contract, price: float) -> list[float]:
        """The possible ones around ``price``; not each exists for each expiry (``is_listed``)."""
        step = underlying.strike_step
        middle = round(price / step)
        reach = max(8, min(40, middle // 3))
        return [round(step * place, 3) for place in range(max(1, middle - reach), middle + reach + 1)]

    def option(self, underlying: Contract, expiry: date, strike: float, right: str, series: int = STANDARD) -> Contract:
        place = self._optionable.index(underlying.conid)
        steps = round(strike / underlying.strike_step)
        return self[option_series.encode(Code(series, place, option_series.week_of(expiry), steps, right))]

    def series(self, underlying: Contract, expiry: date, today: date) -> list[int]:
        """The series of options on ``underlying`` that expire on ``expiry``."""
        return option_series.series_of(underlying, expiry, today)

    def _option(self, conid: int) -> Contract | None:
        code = option_series.decode(conid)
        if code is None or code.place >= len(self._optionable):
            return None
        underlying = self._rows[self._optionable[code.place]]
        root = self._option_root(underlying.conid)
        expiry = option_series.expiry_in(code.week, root)
        return replace(
            underlying,
            conid=conid,
            kind="OPT" if root is None else "FOP",
            tick=0.05 if underlying.kind == "IND" else 0.01,
            multiplier=option_series.multiplier(underlying, root, code.series),
            strike_step=0.0,
            underlying=underlying.conid,
            expiry=expiry,
            delivery=None if root is None else self.option_month(underlying, expiry),
            future=0 if root is None else self._future_under(root, underlying, expiry),
            strike=round(underlying.strike_step * code.steps, 3),
            right=code.right,
            trading_class=option_series.trading_class(underlying, root, code.series, expiry),
            adjusted=code.series == ADJUSTED,
            isin="",
            cusip="",
        )

    def _future_under(self, root: FutureRoot, underlying: Contract, expiry: date) -> int:
        """The future that an option expiring on ``expiry`` is on: the nearest that lives longer."""
        first = self.option_month(underlying, expiry) if root.options_by_contract_month else expiry.replace(day=1)
        year, month = first.year, first.month
        while month not in root.months or root.expires(year, month) < expiry:
            year, month = month_after(year, month)
        return self._future_conid(root, year, month)

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
        if forecast.BASE <= conid < forecast.END:
            return self._event(conid)
        if conid >= option_series.BASE:
            return self._option(conid)
        if conid >= _FUTURE_BASE:
            return self._future(conid - _FUTURE_BASE)
        return None
