"""Executions: a few on every trading day of the past, and those of the order book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.market import Market, today
from ib_simulator.world.orders import Order


@dataclass(frozen=True, slots=True)
class Trade:
    """``side`` is B or S; money in the contract's currency."""

    id: str
    account: str
    contract: Contract
    side: str
    quantity: float
    price: float
    at: float
    order_id: int
    reference: str

    @property
    def amount(self) -> float:
        return self.quantity * self.price * self.contract.multiplier

    @property
    def commission(self) -> float:
        return max(1.0, round(self.quantity * (0.85 if self.contract.is_derivative else 0.005), 2))


def trades(
    account: Account, seed: int, contracts: Contracts, market: Market, orders: list[Order], now: float, days: int
) -> list[Trade]:
    """Executions of ``account`` today and on the ``days - 1`` days before, newest first."""
    found = [
        Trade(
            f"0000e0d5.{order.id:x}.01.01",
            order.account,
            order.contract,
            order.side[0],
            order.quantity,
            order.average,
            order.changed_at,
            order.id,
            order.handle,
        )
        for order in orders
        if order.status == "Filled" and order.account == account.id
    ]
    found += _past(account, seed, contracts, market, now, days)
    first = today(now) - timedelta(days=days - 1)
    kept = [trade for trade in found if trade.at <= now and today(trade.at) >= first]
    return sorted(kept, key=lambda trade: trade.at, reverse=True)


def _past(account: Account, seed: int, contracts: Contracts, market: Market, now: float, days: int) -> Iterator[Trade]:
    choices = [c for c in contracts if c.kind in {"STK", "CASH"} and c.feed == "R" and c.currency == "USD"]
    for back in range(days):
        day = today(now) - timedelta(days=back)
        random = Random(f"{seed}/{account.id}/{day}")
        for place in range(random.randint(2, 5)):
            contract = random.choice(choices)
            traded = contract.market.trading_day(contract.market.number_of(day))
            if traded.closed or traded.date != day:
                continue
            moment = float(int(random.uniform(max(traded.open, traded.close - 23_000), traded.close - 60)))
            quantity = 10_000.0 if contract.kind == "CASH" else float(random.choice((5, 10, 20, 50)))
            yield Trade(
                f"0000e0d5.{day:%y%m%d}{place:02d}.01.01",
                account.id,
                contract,
                random.choice("BS"),
                quantity,
                market.price(contract, moment),
                moment,
                1_100_000_000 + day.toordinal() % 10_000 * 10 + place,
                "",
            )
