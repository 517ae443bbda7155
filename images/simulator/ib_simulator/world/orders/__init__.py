"""The orders of one user and what the market makes of them."""

from ib_simulator.world.orders.order import FINAL, ORDER_TYPES, SPREAD_CONID, Order, conidex_of
from ib_simulator.world.orders.store import OrderStore

__all__ = ["FINAL", "ORDER_TYPES", "SPREAD_CONID", "Order", "OrderStore", "conidex_of"]
