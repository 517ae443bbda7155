"""The order book of one user: orders, their fills, and what a ticket must hold.

Fills are as simple as can be: an order is filled as a whole at the first look at which the market is open and its
price is reached. Fills leave positions as they are, and orders attached to a parent wait for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import Market

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

PRICED = frozenset({"LMT", "STP", "STOP_LIMIT", "TRAILLMT", "LIT", "LOC"})


@dataclass
class Order:
    """``ticket`` is what was sent; ``average`` is 0 until the order is filled."""

    id: int
    account: str
    contract: Contract
    ticket: dict[str, Any]
    placed_at: float
    status: str
    changed_at: float
    average: float = 0.0

    @property
    def side(self) -> str:
        return str(self.ticket["side"]).upper()

    @property
    def type(self) -> str:
        return str(self.ticket["orderType"]).upper()

    @property
    def quantity(self) -> float:
        return float(self.ticket.get("quantity") or self.ticket.get("cashQty") or 0)

    @property
    def filled(self) -> float:
        return self.quantity if self.status == "Filled" else 0.0

    @property
    def handle(self) -> str:
        """The client's own order id, or empty."""
        return str(self.ticket.get("cOID") or "")


class OrderStore:
    """All orders of the user, oldest first."""

    def __init__(self, seed: int, accounts: tuple[Account, ...], contracts: Contracts, market: Market) -> None:
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
        price = ask if order.side == "BUY" else bid
        limit = order.ticket.get("price")
        reached = order.type in {"MKT", "MIDPRICE"}
        if order.type in {"LMT", "REL"} and limit is not None:
            reached = price <= limit if order.side == "BUY" else price >= limit
        elif order.type == "STP" and limit is not None:
            reached = price >= limit if order.side == "BUY" else price <= limit
        if reached:
            order.status, order.average, order.changed_at = "Filled", price, now

    def _open(self, now: float) -> None:
        """The orders that were there before: one of each state that a list can show."""
        if self._opened:
            return
        self._opened = True
        account = self._accounts[0].id
        day = US_STOCKS.at(now)
        if day.open + 1800 > now:
            day = US_STOCKS.before(day)
        earlier = day.open + 1800
        for symbol, side, kind, quantity, off, status in (
            ("AAPL", "BUY", "MKT", 10, 1.0, "Filled"),
            ("IBM", "BUY", "LMT", 25, 0.88, "Submitted"),
            ("MSFT", "SELL", "STP", 5, 0.9, "PreSubmitted"),
            ("KO", "SELL", "LMT", 40, 1.3, "Cancelled"),
            ("EUR", "BUY", "LMT", 20_000, 0.94, "Submitted"),
        ):
            contract = self._contracts.of_symbol(symbol)[0]
            price = contract.rounded(self._market.price(contract, earlier) * off)
            ticket: dict[str, Any] = {
                "acctId": account,
                "conid": contract.conid,
                "side": side,
                "orderType": kind,
                "quantity": quantity,
                "tif": "DAY" if kind == "MKT" else "GTC",
                "outsideRTH": False,
            }
            if kind != "MKT":
                ticket["price"] = price
            order = self._add(account, contract, ticket, earlier)
            order.status = status
            order.average = price if status == "Filled" else 0.0
