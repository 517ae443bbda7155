"""The orders of one user and their fills.

Fills are as simple as can be: an order is filled as a whole at the first look at which the market is open and its
price is reached. Fills leave positions as they are, and orders attached to a parent wait for ever.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.earlier_orders import EARLIER, EarlierOrder
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import Market, today

FINAL = frozenset({"Filled", "Cancelled", "Inactive"})

ORDER_TYPES = {
    "LMT": "Limit",
    "MKT": "Market",
    "STP": "Stop",
    "STOP_LIMIT": "Stop Limit",
    "MIDPRICE": "MidPrice",
    "TRAIL": "Trailing Stop",
    "TRAILLMT": "Trailing Stop Limit",
    "MIT": "Market If Touched",
    "LIT": "Limit If Touched",
    "MOC": "Market On Close",
    "LOC": "Limit On Close",
    "REL": "Relative",
}
"""As tickets name a type, and as lists show it."""

SPREAD_CONID = 28812380
"""What stands before the legs of a combination in US dollars."""

PRICED = frozenset({"LMT", "STP", "STOP_LIMIT", "TRAILLMT", "LIT", "LOC"})


def conidex_of(legs: tuple[tuple[int, int], ...]) -> str:
    """E.g. ``28812380;;;111111/1,222222/-1``."""
    return f"{SPREAD_CONID};;;{','.join(f'{conid}/{ratio}' for conid, ratio in legs)}"


@dataclass
class Order:
    """``ticket`` is what was sent. ``average`` and the ticket's prices are as quoted (pence in London).

    ``filled`` counts units. ``legs`` are conids and ratios of a combination, whose ``contract`` is the underlying.
    ``group``: the adviser's group that the order is for, in place of an account.
    """

    id: int
    account: str
    contract: Contract
    ticket: dict[str, Any]
    placed_at: float
    status: str
    changed_at: float
    average: float = 0.0
    filled: float = 0.0
    legs: tuple[tuple[int, int], ...] = ()
    group: str = ""

    @property
    def side(self) -> str:
        return str(self.ticket["side"]).upper()

    @property
    def type(self) -> str:
        return str(self.ticket["orderType"]).upper()

    @property
    def quantity(self) -> float:
        """In units; 0 when the order is for an amount of money."""
        return float(self.ticket.get("quantity") or 0)

    @property
    def cash(self) -> float:
        """The amount of money that the order is for, else 0."""
        return float(self.ticket.get("cashQty") or 0)

    @property
    def conidex(self) -> str:
        return conidex_of(self.legs) if self.legs else str(self.ticket.get("conidex") or self.contract.conid)

    def fill(self, price: float, now: float) -> None:
        """Fill it as a whole at ``price``; for an amount of money as many units as that buys."""
        self.status, self.average, self.changed_at = "Filled", price, now
        self.filled = self.quantity or round(self.cash / price * self.contract.magnifier - 0.005, 2)

    @property
    def handle(self) -> str:
        """The client's own order id, or empty."""
        return str(self.ticket.get("cOID") or "")


class OrderStore:
    """All orders of the user, oldest first."""

    def __init__(
        self, seed: int, accounts: tuple[Account, ...], groups: Collection[str], contracts: Contracts, market: Market
    ) -> None:
        self._groups = groups
        self._contracts = contracts
        self._market = market
        self._accounts = accounts
        self._orders: dict[int, Order] = {}
        self._next_id = 1_200_000_000 + seed % 1_000_000 * 100
        self._opened = False

    def all(self, now: float) -> list[Order]:
        """Every order, with fills up to ``now``."""
        self._open(now)
        for order in self._orders.values():
            self._try(order, now)
        return list(self._orders.values())

    def get(self, order_id: int, now: float) -> Order | None:
        self._open(now)
        order = self._orders.get(order_id)
        if order is not None:
            self._try(order, now)
        return order

    def has_handle(self, handle: str) -> bool:
        return any(order.handle == handle for order in self._orders.values())

    def place(self, account: str, contract: Contract, ticket: dict[str, Any], now: float) -> Order:
        self._open(now)
        order = self._add(account, contract, ticket, now)
        self._try(order, now)
        return order

    def modify(self, order: Order, ticket: dict[str, Any], now: float) -> None:
        order.ticket = {**ticket, "cOID": order.ticket.get("cOID")}
        order.changed_at = now
        self._try(order, now)

    def cancel(self, order: Order, now: float) -> None:
        order.status = "Cancelled"
        order.changed_at = now

    def _add(self, account: str, contract: Contract, ticket: dict[str, Any], now: float) -> Order:
        self._next_id += 1
        status = "Submitted" if contract.market.is_open(now) else "PreSubmitted"
        if ticket.get("deactivated"):
            status = "Inactive"
        order = Order(self._next_id, account, contract, ticket, now, status, now)
        self._orders[order.id] = order
        return order

    def _try(self, order: Order, now: float) -> None:
        """Fill ``order`` if the market lets it."""
        if order.status in FINAL or order.ticket.get("parentId"):
            return
        extended = bool(order.ticket.get("outsideRTH"))
        if not order.contract.market.is_open(now, extended=extended):
            return
        order.status = "PreSubmitted" if order.type in {"STP", "TRAIL", "TRAILLMT"} else "Submitted"
        bid, ask = self._market.spread(order.contract, self._market.price(order.contract, now))
        price = order.contract.quoted(ask if order.side == "BUY" else bid)
        limit = order.ticket.get("price")
        reached = order.type in {"MKT", "MIDPRICE"}
        if order.type in {"LMT", "REL"} and limit is not None:
            reached = price <= limit if order.side == "BUY" else price >= limit
        elif order.type == "STP" and limit is not None:
            reached = price >= limit if order.side == "BUY" else price <= limit
        if reached:
            order.fill(price, now)

    def _open(self, now: float) -> None:
        """The orders that were there before."""
        if self._opened:
            return
        self._opened = True
        day = US_STOCKS.at(now)
        if day.open + 1800 > now:
            day = US_STOCKS.before(day)
        for place, earlier in enumerate(EARLIER):
            if earlier.group and earlier.group not in self._groups:
                continue
            self._add_earlier(earlier, day.open + 900 + place * 61)

    def _add_earlier(self, earlier: EarlierOrder, at: float) -> None:
        contract = self._contracts[earlier.conid]
        market = self._market.price(contract, at)
        ticket = {
            "acctId": self._accounts[0].id,
            "conid": contract.conid,
            "side": earlier.side,
            "orderType": earlier.type,
            "tif": "DAY" if earlier.type == "MKT" else "GTC",
            "outsideRTH": False,
            **earlier.size,
            **{name: contract.quoted(contract.rounded(market * off)) for name, off in earlier.prices.items()},
            **earlier.offsets,
        }
        order = self._add(self._accounts[0].id, contract, ticket, at)
        order.group = earlier.group
        if earlier.vertical:
            order.legs = self._vertical(contract, at)
        if earlier.status == "Filled":
            order.fill(earlier.average or contract.quoted(market), at)
        order.status, order.filled = earlier.status, order.filled or earlier.filled

    def _vertical(self, underlying: Contract, now: float) -> tuple[tuple[int, int], ...]:
        """A call bought and the next higher one sold, two months ahead."""
        day = today(now)
        expiry = next(expiry for expiry in self._contracts.expiries(underlying, day) if (expiry - day).days > 40)
        strike = 2 * underlying.strike_step * round(self._market.price(underlying, now) / underlying.strike_step / 2)
        low, high = (
            self._contracts.option(underlying, expiry, strike + step * underlying.strike_step, "C") for step in (0, 2)
        )
        return (low.conid, 1), (high.conid, -1)
