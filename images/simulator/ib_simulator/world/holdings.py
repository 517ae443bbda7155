"""What accounts hold, chosen by the seed: some of everything, and side by side what is easily taken for each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random

from ib_simulator.world import forecast
from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.market import Market, today
from ib_simulator.world.option_series import ADJUSTED, AFTERNOON, STANDARD, is_third_friday

_CLOSED = 76792991
_MONTH_S = 40 * 86400
_STOCKS = 127
"""Stocks and funds that were listed first; an account that holds some of them chooses among these."""


@dataclass(frozen=True, slots=True)
class Holding:
    """``cost`` is the average price paid, in the contract's currency. ``model`` is the adviser's model, or empty."""

    contract: Contract
    quantity: float
    cost: float
    model: str = ""


def holdings_of(account: Account, seed: int, contracts: Contracts, market: Market, month: date) -> list[Holding]:
    """What ``account`` holds in the month that begins on ``month``.

    A portfolio of everything fills several pages of positions, the others one page each.
    """
    chooser = _Chooser(account, seed, contracts, market, month)
    held = {
        "everything": chooser.everything,
        "some": lambda: chooser.some(18, options=6, futures=("MES",)),
        "few": lambda: chooser.some(7),
        "odd": chooser.odd,
    }[account.portfolio]()
    return list(held)


class _Chooser:
    def __init__(self, account: Account, seed: int, contracts: Contracts, market: Market, month: date) -> None:
        self._contracts, self._market, self._month = contracts, market, month
        self._seed = f"{seed}/{account.id}"
        self._long_only = account.trading_type == "STKCASH"
        self._begin = datetime(month.year, month.month, month.day, 20, tzinfo=UTC).timestamp()
        self._random = Random(self._seed)

    def everything(self) -> Iterator[Holding]:
        stocks = [c for c in self._contracts if c.kind == "STK" and c.feed != "N"]
        options = self._near_the_money(88)
        futures = [self._future(symbol) for symbol in ("ES", "CL", "GC", "ZC")]
        rest = self._of_kinds("CASH", "BOND", "CRYPTO", "BILL", "FUND", "CMDTY", "CFD", "WAR", "IOPT")
        for contract in (*stocks, *options, *futures, *self._alike(), *rest):
            yield self._held(contract)
        yield from self._vertical()

    def some(self, stocks: int, *, options: int = 0, futures: tuple[str, ...] = ()) -> Iterator[Holding]:
        choices = [c for c in self._contracts if c.kind == "STK" and c.feed != "N"][:_STOCKS]
        self._random.shuffle(choices)
        rest = self._of_kinds("CASH", "BOND", "CRYPTO")
        derived = (*self._near_the_money(options), *(self._future(symbol) for symbol in futures))
        for contract in (*choices[:stocks], *derived, *rest[3:6], rest[-1]):
            yield self._held(contract)

    def odd(self) -> Iterator[Holding]:
        """One symbol in several classes and places, numeric tickers, many currencies; two rows are in a model."""
        for conid in (29612256, 750000009, 750000010, 750000012, 750000001, 750000002, 750000003, 750000004):
            yield self._held(self._contracts[conid])
        for conid in (750000005, 750000008, 750000013, 750000015, 265598, 1411277, 14204):
            yield self._held(self._contracts[conid])
        for contract in (*self._alike(), *self._event()):
            yield self._held(contract)
        for symbol in ("CL", "ES", "ZC"):
            yield self._held(self._future(symbol))
        for contract in self._of_kinds("BOND", "BILL", "CRYPTO", "FUND", "CMDTY", "CFD", "WAR", "IOPT"):
            yield self._held(contract)
        yield from self._vertical()
        for conid in (756733, 8314):
            yield replace(self._held(self._contracts[conid]), model="Growth")
        yield self._held(self._contracts[750000017])
        # What was closed today stays in the list.
        yield replace(self._held(self._contracts[_CLOSED]), quantity=0.0)

    def _of_kinds(self, *kinds: str) -> list[Contract]:
        lasting = [c for c in self._contracts if not c.expires_at or c.expires_at > self._begin + _MONTH_S]
        return [contract for kind in kinds for contract in lasting if contract.kind == kind]

    def _future(self, symbol: str, places: int = 2) -> Contract:
        root = next(root for c in self._contracts.of_symbol(symbol) for root in self._contracts.roots_of(c.conid))
        return self._contracts.futures(root, self._month)[places]

    def _alike(self) -> Iterator[Contract]:
        """Derivatives that only trading class, multiplier or contract month tells apart."""
        for conid in (825711, 17340717):
            for root in self._contracts.roots_of(conid):
                yield self._contracts.futures(root, self._month)[1]
        yield self._future("CL", 1)
        for symbol, kind, series in (("SPX", "IND", AFTERNOON), ("PFE", "STK", ADJUSTED)):
            underlying = next(c for c in self._contracts.of_symbol(symbol) if c.kind == kind)
            expiry = next(day for day in self._lasting(underlying) if is_third_friday(day))
            # Far expiries have every second strike.
            middle = 2 * round(self._market.price(underlying, self._begin) / underlying.strike_step / 2)
            for one in (STANDARD, series):
                yield self._contracts.option(underlying, expiry, underlying.strike_step * middle, "C", one)
        oil = self._contracts.of_symbol("CL")[-1]
        middle = 2 * round(self._market.price(oil, self._begin) / oil.strike_step / 2)
        yield self._contracts.option(oil, self._lasting(oil)[0], oil.strike_step * middle, "P")

    def _event(self) -> Iterator[Contract]:
        question = forecast.QUESTIONS[0]
        expiry = forecast.expiries(self._month + timedelta(days=40))[0]
        yield self._contracts[forecast.conid_of(question, expiry, 3.0, "C")]

    def _near_the_money(self, count: int) -> list[Contract]:
        """Different options that live for the whole month."""
        underlyings = [c for c in self._contracts if c.strike_step and (c.kind == "STK" or c.symbol in {"SPX", "ES"})]
        found: dict[int, Contract] = {}
        while len(found) < count:
            underlying = self._random.choice(underlyings)
            expiry = self._random.choice(self._lasting(underlying))
            middle = round(self._market.price(underlying, self._begin) / underlying.strike_step)
            strike = underlying.strike_step * max(1, middle + self._random.randint(-4, 4))
            right = self._random.choice("CP")
            if self._contracts.is_listed(underlying, expiry, strike, self._month):
                option = self._contracts.option(underlying, expiry, strike, right)
                found[option.conid] = option
        return list(found.values())

    def _lasting(self, underlying: Contract) -> list[date]:
        later = today(self._begin) + timedelta(days=40)
        return [day for day in self._contracts.expiries(underlying, today(self._begin)) if day > later]

    def _vertical(self) -> Iterator[Holding]:
        """A combination: one call bought and a higher one sold."""
        underlying = self._contracts.of_symbol("QQQ")[0]
        expiry = self._lasting(underlying)[0]
        step = underlying.strike_step
        strike = round(self._market.price(underlying, self._begin) / step) * step + 60.0
        for up, sign in ((0.0, 1), (10.0, -1)):
            leg = self._contracts.option(underlying, expiry, strike + up, "C")
            yield Holding(leg, sign * 2.0, self._market.price(leg, self._begin))

    def _held(self, contract: Contract) -> Holding:
        """Bought at the price of an earlier day; the same quantity in every month."""
        random = Random(f"{self._seed}/{contract.conid}")
        quantity = _quantity(contract, random)
        days = random.randint(3, 25) if contract.is_derivative else random.randint(20, 250)
        cost = self._market.price(contract, self._begin - days * 86400.0)
        return Holding(contract, abs(quantity) if self._long_only else quantity, cost)


def _quantity(contract: Contract, random: Random) -> float:
    if contract.kind == "CASH":
        return random.choice((-20, -5, 10, 25, 40)) * 1000.0
    if contract.kind == "CRYPTO":
        return round(random.uniform(0.05, 0.9), 4)
    if contract.kind in {"WAR", "IOPT"}:
        return float(random.choice((100, 250, 1000)))
    if contract.is_derivative:
        return float(random.choice((-3, -2, -1, 1, 2, 3, 5)))
    if contract.is_debt:
        return float(random.choice((5, 10, 20)))
    if contract.kind == "FUND":
        return round(random.uniform(20, 90), 3)
    if contract.kind == "CMDTY":
        return float(random.choice((1, 2, 5)))
    return float(random.choice((-50, 10, 25, 40, 100, 100, 150, 200)))
