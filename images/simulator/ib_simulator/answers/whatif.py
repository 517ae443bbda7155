"""What an order would cost and do to margin and position: by the same figures as a fill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ib_simulator.answers.tickets import Ticket, contract_in, legs_in
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders import Order
from ib_simulator.world.orders.executions import Execution, executions_of
from ib_simulator.world.orders.fills import sides, sides_of_legs, units_for
from ib_simulator.world.orders.order import Fill

_PARTS = ("current", "change", "after")


def _trial(world: World, ticket: Ticket, now: float) -> tuple[Order, Fill, float]:
    """The ticket as an order, its fill at the market's price, and the price that it names, the market's if none."""
    contract, legs = contract_in(world, ticket), legs_in(world, ticket)
    order = Order(0, "", contract, ticket, now, "", now, legs=legs)
    market = sides_of_legs(world.market, legs, now) if legs else sides(world.market, contract, now)
    price = market.ask if order.sign > 0 else market.bid
    named = price if ticket.get("price") is None else float(ticket["price"])
    return order, Fill(1, now, order.quantity or units_for(order, named), price, market.legs), named


def executions_expected(world: World, ticket: Ticket, now: float, *, done: float = 0.0) -> list[Execution]:
    """What ``ticket`` leads to where ``done`` units are filled already.

    At the market's price: a limit away from it makes nobody richer.
    """
    order, fill, _ = _trial(world, ticket, now)
    if fill.quantity <= done:
        return []
    return executions_of(order, replace(fill, quantity=fill.quantity - done), world.contracts)


def preview(world: World, account: Account, tickets: list[Ticket], now: float, warnings: list[str]) -> dict[str, Any]:
    """Of an order, or of the first of a bracket; its attached orders change nothing until then."""
    counted = [ticket for ticket in tickets if not ticket.get("parentId")] or tickets
    executions = [one for ticket in counted for one in executions_expected(world, ticket, now)]
    before, after = world.valuation(account, now), world.valuation_after(account, executions, now)
    contract = contract_in(world, counted[0])
    trials = [_trial(world, ticket, now) for ticket in counted]
    cost = sum(_cost(world, order, fill, named) for order, fill, named in trials)
    commission = sum(one.commission for one in executions)
    change = sum(order.sign * fill.quantity for order, fill, _ in trials)
    held = world.positions(account, now).quantity(contract.conid)
    short = after.initial_margin > before.initial_margin and after.available_funds < 0
    return {
        "amount": {
            "amount": f"{abs(cost):,.2f} {contract.currency} ({_units(contract, abs(change))})",
            "commission": f"{commission:,.2f} {contract.currency}",
            "total": f"{abs(cost) + commission:,.2f} {contract.currency}",
        },
        "equity": _change(before.net_liquidation, after.net_liquidation),
        "initial": _change(before.initial_margin, after.initial_margin),
        "maintenance": _change(before.maintenance_margin, after.maintenance_margin),
        "position": _change_of_position(held, held + change),
        "warn": "\n".join(warnings) or None,
        "error": "Your account does not have enough funds for this order." if short else None,
    }


def _cost(world: World, order: Order, fill: Fill, price: float) -> float:
    """What the order costs at ``price``, in the contract's currency."""
    contract = world.contracts[order.legs[0][0]] if order.legs else order.contract
    return order.sign * fill.quantity * price / contract.magnifier * contract.multiplier


def _units(contract: Contract, quantity: float) -> str:
    return f"{quantity:g} {'Shares' if contract.kind == 'STK' else 'Contracts'}"


def _change(current: float, after: float) -> dict[str, str]:
    """Whole units of the currency that add up."""
    before, then = round(current), round(after)
    return {"current": f"{before:,}", "change": f"{then - before:,}", "after": f"{then:,}"}


def _change_of_position(current: float, after: float) -> dict[str, str]:
    return {name: f"{value:,.10g}" for name, value in zip(_PARTS, (current, after - current, after), strict=True)}
