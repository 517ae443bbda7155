"""What the simulator itself knows of an order, for those who compare it with what they were told."""

from __future__ import annotations

from typing import Any

from ib_simulator.world.orders.order import Order


def order_record(user: str, order: Order) -> dict[str, Any]:
    """``history`` is what happened, with the simulated epoch second; prices are as quoted."""
    return {
        "user": user,
        "order_id": order.id,
        "account": order.account,
        "client_order_id": order.handle or None,
        "conid": order.contract.conid,
        "conidex": order.conidex,
        "side": order.side,
        "order_type": order.type,
        "tif": order.tif,
        "quantity": order.quantity,
        "cash_quantity": order.cash,
        "status": order.status,
        "reason": order.reason,
        "filled": order.filled,
        "average": order.average,
        "parent": order.parent,
        "placed_at": order.placed_at,
        "changed_at": order.changed_at,
        "ticket": order.ticket,
        "fills": [{"at": fill.at, "quantity": fill.quantity, "price": fill.price} for fill in order.fills],
        "history": [{"at": at, "event": event} for at, event in order.history],
    }
