"""The orders that are there when the user first looks: one of each state and shape that a list can show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ib_simulator.world.contracts import Contracts
from ib_simulator.world.market import Market, today
from ib_simulator.world.orders.order import Legs


@dataclass(frozen=True, slots=True)
class EarlierOrder:
    """``size`` is the ticket's quantity or cashQty, ``prices`` parts of the market's price, ``offsets`` amounts.

    ``average``: what it was filled at, the market's price when 0. ``filled``: units, where not all. ``vertical``: a
    combination of two options on ``conid``. ``group``: only for an adviser with that group.
    """

    conid: int
    side: str
    type: str
    size: dict[str, float]
    status: str
    prices: dict[str, float] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    average: float = 0.0
    filled: float = 0.0
    vertical: bool = False
    group: str = ""

    def ticket(self, contracts: Contracts, market: Market, at: float) -> dict[str, Any]:
        """As it was sent at ``at``, but for the account."""
        contract = contracts[self.conid]
        price = market.price(contract, at)
        return {
            "conid": contract.conid,
            "side": self.side,
            "orderType": self.type,
            "tif": "DAY" if self.type == "MKT" else "GTC",
            "outsideRTH": False,
            **self.size,
            **{name: contract.quoted(contract.rounded(price * off)) for name, off in self.prices.items()},
            **self.offsets,
        }

    def legs(self, contracts: Contracts, market: Market, at: float) -> Legs:
        """Of the combination: a call bought and the next higher one sold, two months ahead."""
        if not self.vertical:
            return ()
        underlying = contracts[self.conid]
        step, day = underlying.strike_step, today(at)
        expiry = next(expiry for expiry in contracts.expiries(underlying, day) if (expiry - day).days > 40)
        strike = 2 * step * round(market.price(underlying, at) / step / 2)
        low, high = (contracts.option(underlying, expiry, strike + more * step, "C") for more in (0, 2))
        return (low.conid, 1), (high.conid, -1)


EARLIER = (
    EarlierOrder(265598, "BUY", "MKT", {"quantity": 10}, "Filled"),
    EarlierOrder(8314, "BUY", "LMT", {"quantity": 25}, "Submitted", {"price": 0.88}),
    EarlierOrder(272093, "SELL", "STP", {"quantity": 5}, "PreSubmitted", {"price": 0.9}),
    EarlierOrder(8894, "SELL", "LMT", {"quantity": 40}, "Cancelled", {"price": 1.3}),
    EarlierOrder(12087792, "BUY", "LMT", {"quantity": 20_000}, "Submitted", {"price": 0.94}),
    # As in IBKR's own example: the total is in units, what is filled in money.
    EarlierOrder(750000033, "BUY", "MKT", {"cashQty": 2500}, "Filled", average=0.8908),
    EarlierOrder(4815747, "BUY", "LMT", {"cashQty": 500}, "Submitted", {"price": 0.85}),
    EarlierOrder(3691937, "SELL", "STOP_LIMIT", {"quantity": 10}, "PreSubmitted", {"price": 0.92, "auxPrice": 0.94}),
    EarlierOrder(107113386, "SELL", "TRAIL", {"quantity": 4}, "PreSubmitted", offsets={"trailingAmt": 25.0}),
    EarlierOrder(4391, "BUY", "LMT", {"quantity": 100}, "Inactive", {"price": 0.9}, filled=40),
    EarlierOrder(320227571, "BUY", "LMT", {"quantity": 1}, "Submitted", offsets={"price": -3.2}, vertical=True),
    EarlierOrder(29611902, "BUY", "LMT", {"quantity": 300}, "PreSubmitted", {"price": 0.8}),
    EarlierOrder(750000021, "SELL", "LMT", {"quantity": 2}, "PreSubmitted", {"price": 1.5}),
    EarlierOrder(320227571, "BUY", "MKT", {"quantity": 2}, "Filled", average=4.15, vertical=True),
    EarlierOrder(37018770, "BUY", "LMT", {"quantity": 60}, "Submitted", {"price": 0.7}, group="Income"),
)


def earlier_orders(groups: Collection[str]) -> list[EarlierOrder]:
    """Those of a user with these groups."""
    return [order for order in EARLIER if not order.group or order.group in groups]
