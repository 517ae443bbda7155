"""What fills make of an account: its positions, its cash and what was realized.

The cost of a position holds the commissions paid for it, as IBKR's does. Gains of futures are settled in cash as they
arise, for what was bought here; those on what the account held before are taken as settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace

from ib_simulator.world.bookings import Booking
from ib_simulator.world.contract import Contract
from ib_simulator.world.holdings import Holding
from ib_simulator.world.market import Market, today
from ib_simulator.world.orders.executions import Execution


@dataclass(frozen=True, slots=True)
class _Lots:
    """Futures: ``before`` were held already; ``own`` were dealt here, at ``price`` on average."""

    before: float
    own: float = 0.0
    price: float = 0.0


class Positions:
    """One account's, from what it held in ``holdings`` and its ``cash`` on."""

    def __init__(self, holdings: Iterable[Holding], cash: dict[str, float]) -> None:
        self._base = tuple(holdings)
        self._held = {holding.contract.conid: holding for holding in self._base if not holding.model}
        self._in_models = [holding for holding in self._base if holding.model]
        self._cash = dict(cash)
        self._lots: dict[Contract, _Lots] = {}
        self.bookings: list[Booking] = []
        self.applied = 0

    def copy(self) -> Positions:
        """The same, to try executions on."""
        other = copy(self)
        other._held, other._cash, other._lots = dict(self._held), dict(self._cash), dict(self._lots)
        other.bookings = list(self.bookings)
        return other

    def quantity(self, conid: int) -> float:
        held = self._held.get(conid)
        return 0.0 if held is None else held.quantity

    def apply(self, execution: Execution) -> None:
        """Book one execution."""
        contract, quantity, price = execution.contract, execution.quantity, execution.price
        money = quantity * price * contract.multiplier
        if contract.kind == "CASH":
            self._pay(contract.symbol, quantity)
            self._pay(contract.currency, -money - execution.commission)
            if execution.converts:
                return
        gain = self._book(execution)
        if contract.kind == "CFD":
            self._pay(contract.currency, gain or 0.0)
        elif contract.kind == "FUT":
            self._pay(contract.currency, self._settle(execution) - execution.commission)
        elif contract.kind != "CASH":
            self._pay(contract.currency, -money - execution.commission)

    def _pay(self, currency: str, amount: float) -> None:
        self._cash[currency] = self._cash.get(currency, 0.0) + amount

    def _book(self, execution: Execution) -> float | None:
        """Change the position; what that realized, None when it took nothing from it."""
        contract, quantity, units = execution.contract, execution.quantity, execution.contract.multiplier
        held = self._held.get(contract.conid, Holding(contract, 0.0, 0.0))
        closes = min(abs(quantity), abs(held.quantity)) if quantity * held.quantity < 0 else 0.0
        opens = abs(quantity) - closes
        sign = 1 if quantity > 0 else -1
        share = execution.commission / abs(quantity)
        gain = None
        if closes:
            gain = -sign * closes * (execution.price - held.cost) * units - share * closes
        left = round(held.quantity + quantity, 8)
        cost = held.cost
        if opens:
            before = 0.0 if closes else held.quantity
            added = sign * opens
            paid = before * held.cost + added * execution.price + share * opens / units
            cost = paid / (before + added)
        self._held[contract.conid] = replace(held, quantity=left, cost=round(cost, 8))
        self.bookings.append(
            Booking(contract, today(execution.at), execution.at, quantity, execution.price, gain, execution.commission)
        )
        return gain

    def _settle(self, execution: Execution) -> float:
        """The gain on futures dealt here that ``execution`` closes."""
        contract, quantity = execution.contract, execution.quantity
        lots = self._lots.get(contract)
        if lots is None:
            base = next((row.quantity for row in self._base if row.contract.conid == contract.conid), 0.0)
            lots = _Lots(base)
        before, own, price, gain = lots.before, lots.own, lots.price, 0.0
        if own * quantity < 0:
            closed = _towards_zero(own, quantity)
            gain = -closed * (execution.price - price) * contract.multiplier
            own, quantity = own + closed, quantity - closed
        if before * quantity < 0:
            closed = _towards_zero(before, quantity)
            before, quantity = before + closed, quantity - closed
        if quantity:
            price = (own * price + quantity * execution.price) / (own + quantity)
            own += quantity
        self._lots[contract] = _Lots(before, own, price)
        return gain

    def holdings(self, now: float) -> list[Holding]:
        """What is held at ``now``: what was closed on an earlier day or has expired is no more among it."""
        if not self.bookings:
            return list(self._base)
        day = today(now)
        base = {row.contract.conid for row in self._base}
        dealt = {booking.contract.conid for booking in self.bookings if booking.day == day}
        rows = [
            holding
            for conid, holding in self._held.items()
            if (holding.quantity or conid in base or conid in dealt)
            and (conid in base or not holding.contract.expires_at or now < holding.contract.expires_at)
        ]
        return rows + self._in_models

    def cash(self, market: Market, now: float) -> dict[str, float]:
        """By currency, gains of futures up to ``now`` included."""
        found = dict(self._cash)
        for contract, lots in self._lots.items():
            moment = min(now, contract.expires_at)
            gain = lots.own * (market.price(contract, moment) - lots.price) * contract.multiplier
            found[contract.currency] = found.get(contract.currency, 0.0) + gain
        for holding in self._held.values():
            expiry = holding.contract.expires_at
            if holding.contract.right and self.bookings and expiry and now >= expiry and holding not in self._base:
                value = holding.quantity * market.price(holding.contract, expiry) * holding.contract.multiplier
                found[holding.contract.currency] = found.get(holding.contract.currency, 0.0) + value
        return found


def _towards_zero(held: float, quantity: float) -> float:
    """The part of ``quantity`` that closes ``held``."""
    return quantity if abs(quantity) <= abs(held) else -held
