"""Who is signed in: the user's accounts and what they hold.

The paper user has one account, so an agent can leave the account out. The live user has two, of different kinds and
base currencies, so that leaving it out is ambiguous. All names and numbers are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
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


def holdings_of(account: Account, seed: int, contracts: Contracts, market: Market, now: float) -> list[Holding]:
    """What ``account`` holds, chosen by the seed; ``now`` picks derivatives that have not expired.

    The paper account fills several pages of positions, the live ones one page each.
    """
    random = Random(f"{seed}/{account.id}")
    stocks = [c for c in contracts if c.kind == "STK" and c.feed != "N"]
    if not account.is_paper:
        random.shuffle(stocks)
        stocks = stocks[: 18 if account.trading_type == "STKNOPT" else 7]
    chosen: list[Contract] = [*stocks]
    if account.trading_type == "STKNOPT":
        chosen += _options(contracts, market, now, 90 if account.is_paper else 6, random)
        for symbol in ("ES", "CL", "GC") if account.is_paper else ("MES",):
            root = next(root for c in contracts.of_symbol(symbol) if (root := contracts.root_of(c.conid)))
            chosen.append(contracts.futures(root, today(now))[1])
    chosen += [c for c in contracts if c.kind in {"CASH", "BOND", "CRYPTO"}][: 14 if account.is_paper else 3]
    return [_holding(contract, market, random) for contract in chosen]


def _options(contracts: Contracts, market: Market, now: float, count: int, random: Random) -> list[Contract]:
    underlyings = [c for c in contracts if c.strike_step and (c.kind == "STK" or c.symbol in {"SPX", "ES"})]
    later = today(now) + timedelta(days=40)
    found: dict[int, Contract] = {}
    while len(found) < count:
        underlying = random.choice(underlyings)
        expiry = random.choice([day for day in contracts.expiries(underlying, today(now)) if day > later])
        middle = round(underlying.price / underlying.strike_step)
        strike = underlying.strike_step * max(1, middle + random.randint(-4, 4))
        option = contracts.option(underlying, expiry, strike, random.choice("CP"))
        found[option.conid] = option
    return list(found.values())


def _holding(contract: Contract, market: Market, random: Random) -> Holding:
    if contract.kind == "CASH":
        quantity = random.randint(-20, 40) * 1000.0 or 5000.0
    elif contract.kind == "CRYPTO":
        quantity = round(random.uniform(0.05, 0.9), 4)
    elif contract.is_derivative:
        quantity = float(random.choice((-3, -2, -1, 1, 2, 3, 5)))
    elif contract.kind == "BOND":
        quantity = float(random.choice((5, 10, 20)))
    else:
        quantity = float(random.choice((-50, 10, 25, 40, 100, 100, 150, 200)))
    reference = contract.price
    if contract.right:
        market_open = contract.expires_at - 90 * 86400.0
        reference = market.greeks_at(contract, contract.price, market_open).price
    return Holding(contract, quantity, round(reference * random.uniform(0.82, 1.12), 4))
