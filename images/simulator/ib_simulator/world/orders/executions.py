"""What fills mean for an account: quantities of instruments at a price, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from ib_simulator.world.contract import Contract
from ib_simulator.world.contracts import Contracts
from ib_simulator.world.orders.order import Fill, Order


@dataclass(frozen=True, slots=True)
class Execution:
    """``quantity`` is signed; ``price`` and ``commission`` are in the contract's currency.

    ``converts``: a currency conversion, which moves money and makes no position.
    """

    contract: Contract
    quantity: float
    price: float
    at: float
    commission: float
    converts: bool = False


def commission_of(contract: Contract, quantity: float) -> float:
    """In the contract's currency."""
    if contract.kind == "CASH":
        return 2.0
    return max(1.0, round(abs(quantity) * (0.85 if contract.is_derivative else 0.005), 2))


def executions_of(order: Order, fill: Fill, contracts: Contracts) -> list[Execution]:
    """Of one fill: one, or one for each leg of a combination."""
    if not order.legs:
        contract = order.contract
        quantity = order.sign * fill.quantity
        price = fill.price / contract.magnifier
        converts = bool(order.ticket.get("isCcyConv"))
        return [Execution(contract, quantity, price, fill.at, commission_of(contract, quantity), converts)]
    paid = list(fill.legs)
    # The first leg takes what the middle prices of the legs leave of the price of the whole.
    paid[0] += (fill.price - sum(ratio * price for (_, ratio), price in zip(order.legs, paid, strict=True))) / (
        order.legs[0][1]
    )
    found = []
    for (conid, ratio), price in zip(order.legs, paid, strict=True):
        leg, quantity = contracts[conid], order.sign * ratio * fill.quantity
        found.append(Execution(leg, quantity, price, fill.at, commission_of(order.contract, fill.quantity)))
    return found
