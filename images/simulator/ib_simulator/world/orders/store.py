"""The orders of one user: placed, changed, cancelled, and moved by time and the market.

Nothing here waits. ``settle(now)`` lets happen what was due until then, in the order in which it was due: opens and
closes of markets, ends of orders, cancels on their way, further parts of what is filled in parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.hours import US_STOCKS
from ib_simulator.world.market import Market, last_update
from ib_simulator.world.orders import fills
from ib_simulator.world.orders.earlier import earlier_orders
from ib_simulator.world.orders.lifetime import ends_at, is_working
from ib_simulator.world.orders.moments import due
from ib_simulator.world.orders.order import FINAL, Legs, Order
from ib_simulator.world.orders.pace import Pace

HANDLE_S = 86400.0
"""How long a client's own order id stays taken."""

_MOST_MOMENTS = 2000


class OrderStore:
    """All orders of the user, oldest first."""

    def __init__(
        self, seed: int, accounts: tuple[Account, ...], groups: Collection[str], contracts: Contracts, market: Market
    ) -> None:
        self.pace = Pace()
        self._groups = groups
        self._contracts = contracts
        self._market = market
        self._accounts = accounts
        self._orders: dict[int, Order] = {}
        self._active: dict[int, Order] = {}
        self._handles: dict[str, Order] = {}
        self._next_id = 1_200_000_000 + seed % 1_000_000 * 100
        self._opened = False
        self._settled_at = 0.0
        self._looked_at: tuple[float, int] | None = None
        self.more_questions: list[tuple[str, str]] = []
        """Message ids and texts that the next order is asked besides the usual ones."""
        self.filled: list[tuple[Order, int]] = []
        """Every fill but those of earlier orders: the order and the place among its fills."""

    def all(self, now: float) -> list[Order]:
        """Every order, with what happened up to ``now``."""
        self.settle(now)
        return list(self._orders.values())

    def get(self, order_id: int, now: float) -> Order | None:
        self.settle(now)
        return self._orders.get(order_id)

    def active(self, now: float) -> list[Order]:
        self.settle(now)
        return list(self._active.values())

    def listed(self, now: float) -> list[Order]:
        """Those that IBKR lists: what works, and what ended since the trading day before; with the delay of lists."""
        market = US_STOCKS
        since = market.before(market.at(now)).pre
        return [
            order
            for order in self.all(now)
            if order.earlier
            or (now >= order.placed_at + self.pace.list_s and (not order.is_final or order.changed_at >= since))
        ]

    def has_handle(self, handle: str, now: float) -> bool:
        """Whether an order of the last day took it."""
        order = self._handles.get(handle)
        return order is not None and now < order.placed_at + HANDLE_S

    def parent(self, handle: str, account: str) -> Order | None:
        """The order that a child names."""
        order = self._handles.get(handle)
        return order if order is not None and order.account == account else None

    def place(
        self, account: str, contract: Contract, ticket: dict[str, Any], now: float, *, legs: Legs = (), oca: str = ""
    ) -> Order:
        self.settle(now)
        order = self._add(account, contract, ticket, now)
        order.legs, order.oca = legs, oca
        parent = self.parent(str(ticket["parentId"]), account) if ticket.get("parentId") else None
        if parent is not None:
            order.parent = parent.id
            order.oca = f"bracket {parent.id}"
        if self.pace.acknowledge_s and order.status != "Inactive":
            order.status = "PendingSubmit"
        order.history.append((now, f"taken: {order.status}"))
        self._step(order, now)
        return order

    def modify(self, order: Order, ticket: dict[str, Any], now: float) -> None:
        """Give it another ticket; what is filled stays filled."""
        order.ticket = {**ticket, "cOID": order.ticket.get("cOID")}
        if "parentId" in order.ticket and order.parent is None:
            del order.ticket["parentId"]
        order.units, order.triggered, order.stop = 0.0, False, None
        if order.type in fills.TRIGGERED:
            order.become("PreSubmitted", now)
        order.ends_at = self._end_of(order, now)
        order.changed_at = now
        order.history.append((now, "modified"))
        if order.quantity and order.filled >= order.quantity:
            order.become("Filled", now)
            self._retire(order, now)
        self._step(order, now)

    def cancel(self, order: Order, now: float) -> bool:
        """Ask for its cancel; whether it is done already."""
        if not self.pace.cancel_s or not self._is_working(order, now):
            self._end(order, "Cancelled", now)
            return True
        order.cancels_at = now + self.pace.cancel_s
        order.become("PendingCancel", now)
        return False

    def reject(self, order: Order, now: float, reason: str) -> None:
        """The exchange refuses it after all."""
        self._end(order, "Inactive", now, reason)

    def end(self, order: Order, now: float, reason: str) -> None:
        """The exchange cancels it."""
        self._end(order, "Cancelled", now, reason)

    def deal(self, order: Order, now: float, quantity: float | None = None, price: float | None = None) -> None:
        """Fill it, whatever the market says; the rest of it where no quantity is given."""
        market = self._sides(order, now)
        at = price if price is not None else market.ask if order.side == "BUY" else market.bid
        self._size(order, at)
        self._fill(order, min(order.remaining, quantity or order.remaining), at, now, market.legs)

    # What time does

    def settle(self, now: float) -> None:
        """Let everything happen that was due until ``now``."""
        self._open(now)
        if now < self._settled_at - 1:
            # The calendar was set back.
            self._settled_at = now
        market = last_update(now), self._market.version
        moved = False
        if now > self._settled_at:
            for moment in self._moments(now):
                moved = True
                self._settle_at(moment)
            self._settled_at = now
        if moved or market != self._looked_at:
            self._looked_at = market
            self._settle_at(now)

    def _settle_at(self, now: float) -> None:
        for order in list(self._active.values()):
            self._step(order, now)

    def _moments(self, now: float) -> Iterator[float]:
        """When something may happen before ``now``, in order; parts of fills add moments while this is read."""
        reached = self._settled_at
        for _ in range(_MOST_MOMENTS):
            at_last = min(
                (at for order in self._active.values() for at in due(order, self.pace, reached, now)), default=None
            )
            if at_last is None:
                return
            reached = at_last
            yield at_last

    def _step(self, order: Order, now: float) -> None:
        """What becomes of ``order`` at ``now``."""
        if order.status in FINAL or order.ticket.get("deactivated"):
            return None
        if order.cancels_at is not None and now >= order.cancels_at:
            return self._end(order, "Cancelled", now)
        if order.ends_at is not None and now >= order.ends_at:
            return self._end(order, "Cancelled", order.ends_at, "expired")
        if now < order.placed_at + self.pace.acknowledge_s and not order.earlier:
            return None
        if order.parent is not None and self._waits_for_parent(order, now):
            return None
        working = self._is_working(order, now)
        if order.status != "PendingCancel":
            waits = not working or (order.type in fills.TRIGGERED and not order.triggered)
            order.become("PreSubmitted" if waits and order.status != "Submitted" else "Submitted", now)
        if working:
            self._try(order, now)
        if order.tif in {"IOC", "FOK"} and order.status not in FINAL:
            self._end(order, "Cancelled", now, "not filled at once")
        return None

    def _waits_for_parent(self, order: Order, now: float) -> bool:
        parent = self._orders[order.parent or 0]
        if parent.status in FINAL and not parent.filled:
            self._end(order, "Cancelled", now, "its parent was cancelled")
            return True
        if parent.status in FINAL:
            if order.quantity > parent.filled:
                order.units = parent.filled
            return False
        if order.status != "PendingCancel":
            order.become("PreSubmitted", now)
        return True

    def _try(self, order: Order, now: float) -> None:
        """Fill ``order`` as far as the market lets it."""
        if order.contract.feed == "H" or (order.fills and now < order.next_fill_at):
            return
        market = self._sides(order, now)
        fills.trigger(order, market)
        if order.type in fills.TRIGGERED and not order.triggered:
            return
        if order.status == "PreSubmitted":
            order.become("Submitted", now)
        price = fills.price_for(order, market, now)
        if price is None:
            return
        self._size(order, price)
        quantity = fills.quantity_for(order, market.ask_size if order.side == "BUY" else market.bid_size)
        if quantity > 0:
            self._fill(order, quantity, price, now, market.legs)

    def _size(self, order: Order, price: float) -> None:
        if order.cash and not order.units:
            order.units = fills.units_for(order, price)

    def _fill(self, order: Order, quantity: float, price: float, now: float, legs: tuple[float, ...]) -> None:
        order.fill(quantity, price, now, legs)
        order.next_fill_at = now + self.pace.fill_s
        if not order.earlier and not order.group:
            self.filled.append((order, len(order.fills) - 1))
        for other in list(self._active.values()):
            if order.oca and other.oca == order.oca and other is not order:
                self._reduce(other, order, now)
        if order.status == "Filled":
            self._retire(order, now)

    def _reduce(self, order: Order, filled: Order, now: float) -> None:
        """Another order of its group was filled, or a part of it."""
        if filled.status == "Filled":
            self._end(order, "Cancelled", now, "another order of its group was filled")
        elif order.remaining > filled.remaining:
            order.units = order.filled + filled.remaining

    def _end(self, order: Order, status: str, now: float, reason: str = "") -> None:
        order.become(status, now, reason)
        self._retire(order, now)

    def _retire(self, order: Order, now: float) -> None:
        order.cancels_at = None
        self._active.pop(order.id, None)
        for child in list(self._active.values()):
            if child.parent == order.id:
                self._step(child, now)

    def _sides(self, order: Order, now: float) -> fills.Sides:
        moment = last_update(now)
        if order.legs:
            return fills.sides_of_legs(self._market, order.legs, moment)
        return fills.sides(self._market, order.contract, moment)

    def _is_working(self, order: Order, now: float) -> bool:
        return is_working(order.contract, order.type, order.tif, bool(order.ticket.get("outsideRTH")), now)

    # What comes in

    def _end_of(self, order: Order, now: float) -> float | None:
        return ends_at(order.contract, order.type, order.tif, bool(order.ticket.get("outsideRTH")), now)

    def _add(self, account: str, contract: Contract, ticket: dict[str, Any], now: float) -> Order:
        self._next_id += 1
        order = Order(self._next_id, account, contract, ticket, now, "PreSubmitted", now)
        if ticket.get("deactivated"):
            order.status = "Inactive"
        order.ends_at = self._end_of(order, now)
        self._orders[order.id] = order
        if order.status not in FINAL:
            self._active[order.id] = order
        if order.handle:
            self._handles[order.handle] = order
        return order

    def _open(self, now: float) -> None:
        """The orders that were there before."""
        if self._opened:
            return
        self._opened = True
        self._settled_at = now
        day = US_STOCKS.at(now)
        if day.open + 1800 > now:
            day = US_STOCKS.before(day)
        for place, earlier in enumerate(earlier_orders(self._groups)):
            at = day.open + 900 + place * 61
            ticket = {"acctId": self._accounts[0].id, **earlier.ticket(self._contracts, self._market, at)}
            order = self._add(self._accounts[0].id, self._contracts[earlier.conid], ticket, at)
            order.earlier, order.group = True, earlier.group
            order.legs = earlier.legs(self._contracts, self._market, at)
            order.status, order.average, order.filled = earlier.status, 0.0, earlier.filled
            if earlier.status == "Filled":
                price = earlier.average or order.contract.quoted(self._market.price(order.contract, at))
                order.units = order.quantity or fills.units_for(order, price)
                order.fill(order.units, price, at, (0.0,) * len(order.legs))
            order.status, order.changed_at = earlier.status, at
            if order.status in FINAL:
                self._active.pop(order.id, None)
