"""Who is signed in: the user's accounts and what they hold.

The paper user has one account, so an agent can leave the account out. The live user has two, of different kinds and
base currencies, so that leaving it out is ambiguous. All names and numbers are invented.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal

from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.market import Market, today

Mode = Literal["paper", "live"]


@dataclass(frozen=True, slots=True)
class Account:
    """``cash`` holds balances by currency."""

    id: str
    title: str
    alias: str
    type: str
    currency: str
    trading_type: str
    cash: dict[str, float]
    is_paper: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """``cost`` is the average price paid, on the contract's own price scale."""

    contract: Contract
    quantity: float
    cost: float


ACCOUNTS: dict[Mode, tuple[Account, ...]] = {
    "paper": (
        Account(
            "DU7420001",
            "Robin Example",
            "",
            "DEMO",
            "USD",
            "STKNOPT",
            {"USD": 412_345.67, "EUR": 58_210.4, "GBP": -12_400.25},
            is_paper=True,
        ),
    ),
    "live": (
        Account(
            "U7420002",
            "Robin Example",
            "Main",
            "INDIVIDUAL",
            "USD",
            "STKNOPT",
            {"USD": 84_120.55, "EUR": 15_300.0, "CHF": 9_870.35},
            is_paper=False,
        ),
        Account(
            "U7420003",
            "Robin Example",
            "Savings",
            "INDIVIDUAL",
            "EUR",
            "STKCASH",
            {"EUR": 22_640.8, "USD": 4_980.1, "GBP": 3_150.0},
            is_paper=False,
        ),
    ),
}

USER_NAMES: dict[Mode, str] = {"paper": "robin-paper", "live": "robin-live"}


def holdings_of(account: Account, seed: int, contracts: Contracts, market: Market, month: date) -> list[Holding]:
    """What ``account`` holds in the month that begins on ``month``, chosen by the seed.

    The paper account fills several pages of positions, the live ones one page each.
    """
    random = Random(f"{seed}/{account.id}")
    begin = datetime(month.year, month.month, month.day, 20, tzinfo=UTC).timestamp()
    chosen = [c for c in contracts if c.kind == "STK" and c.feed != "N"]
    if not account.is_paper:
        random.shuffle(chosen)
        chosen = chosen[: 18 if account.trading_type == "STKNOPT" else 7]
    if account.trading_type == "STKNOPT":
        chosen += _options(contracts, market, begin, 88 if account.is_paper else 6, random)
        for symbol in ("ES", "CL", "GC") if account.is_paper else ("MES",):
            root = next(root for c in contracts.of_symbol(symbol) if (root := contracts.root_of(c.conid)))
            chosen.append(contracts.futures(root, month)[2])
    rest = [c for kind in ("CASH", "BOND", "CRYPTO") for c in contracts if c.kind == kind]
    chosen += rest if account.is_paper else rest[3:6] + rest[-1:]
    held = [_holding(contract, market, begin, random) for contract in chosen]
    if account.trading_type == "STKCASH":
        held = [replace(holding, quantity=abs(holding.quantity)) for holding in held]
    return held + _vertical(contracts, market, begin) if account.is_paper else held


def _options(contracts: Contracts, market: Market, begin: float, count: int, random: Random) -> list[Contract]:
    """Different ones near the money that live for the whole month."""
    underlyings = [c for c in contracts if c.strike_step and (c.kind == "STK" or c.symbol in {"SPX", "ES"})]
    found: dict[int, Contract] = {}
    while len(found) < count:
        underlying = random.choice(underlyings)
        expiry = random.choice(_lasting(contracts, underlying, begin))
        middle = round(market.price(underlying, begin) / underlying.strike_step)
        strike = underlying.strike_step * max(1, middle + random.randint(-4, 4))
        option = contracts.option(underlying, expiry, strike, random.choice("CP"))
        found[option.conid] = option
    return list(found.values())


def _lasting(contracts: Contracts, underlying: Contract, begin: float) -> list[date]:
    later = today(begin) + timedelta(days=40)
    return [day for day in contracts.expiries(underlying, today(begin)) if day > later]


def _vertical(contracts: Contracts, market: Market, begin: float) -> list[Holding]:
    """A combination: one call bought and a higher one sold."""
    underlying = contracts.of_symbol("QQQ")[0]
    expiry = _lasting(contracts, underlying, begin)[0]
    strike = round(market.price(underlying, begin) / underlying.strike_step) * underlying.strike_step + 60.0
    legs = [contracts.option(underlying, expiry, strike + up, "C") for up in (0.0, 10.0)]
    return [Holding(leg, sign * 2.0, market.price(leg, begin)) for leg, sign in zip(legs, (1, -1), strict=True)]


def _holding(contract: Contract, market: Market, begin: float, random: Random) -> Holding:
    """Bought at the price of an earlier day."""
    if contract.kind == "CASH":
        quantity = random.choice((-20, -5, 10, 25, 40)) * 1000.0
    elif contract.kind == "CRYPTO":
        quantity = round(random.uniform(0.05, 0.9), 4)
    elif contract.is_derivative:
        quantity = float(random.choice((-3, -2, -1, 1, 2, 3, 5)))
    elif contract.kind == "BOND":
        quantity = float(random.choice((5, 10, 20)))
    else:
        quantity = float(random.choice((-50, 10, 25, 40, 100, 100, 150, 200)))
    days = random.randint(3, 25) if contract.is_derivative else random.randint(20, 250)
    return Holding(contract, quantity, market.price(contract, begin - days * 86400.0))
