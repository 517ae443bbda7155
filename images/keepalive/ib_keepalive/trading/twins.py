"""Orders alike: a second one is refused while it is not known whether the first stands at IBKR. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.intent import Order, OrderIntent
from ib_keepalive.trading.terms import conids_of
from ibkr.errors import IbError, OperationForbidden


def refuse_twin(intent: OrderIntent, unknown: Sequence[Entry]) -> IbError | None:
    """Why an order waits for one of the ``unknown`` entries, of the same instrument and side."""
    if intent.kind != "place":
        return None
    mine = _what(intent.orders)
    for entry in unknown:
        if entry.kind == "place" and entry.account == intent.account and mine & _what(entry.orders):
            name = entry.client_order_ids[0]
            return OperationForbidden(
                f"Whether an order alike (client order id {name}) stands at IBKR is not known yet.",
                action="Wait until its outcome is known, then decide again.",
                retry_after_s=15,
            )
    return None


def _what(orders: Sequence[Order]) -> set[tuple[int, str]]:
    """The instruments that orders trade, however they name them, each with the side."""
    return {(conid, order["side"]) for order in orders for conid in conids_of([order])}
