"""When something may happen to an order without anybody asking."""

from __future__ import annotations

from collections.abc import Iterator

from ib_simulator.world.orders.lifetime import CLOSING_S
from ib_simulator.world.orders.order import Order
from ib_simulator.world.orders.pace import Pace


def due(order: Order, pace: Pace, after: float, until: float) -> Iterator[float]:
    """The moments between ``after`` and ``until``, the end included."""
    moments = [order.ends_at, order.cancels_at, order.placed_at + pace.acknowledge_s]
    if order.fills:
        moments.append(order.next_fill_at)
    market = order.contract.market
    day = market.at(after)
    if until > day.close - CLOSING_S or after < day.open:
        moments += day.open, day.close - CLOSING_S, market.after(day).open
    for moment in moments:
        if moment is not None and after < moment <= until:
            yield moment
