"""Whether the market takes an order, at what price and how much of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from ib_simulator.world.contract import Contract
from ib_simulator.world.market import Market
from ib_simulator.world.orders.order import Legs, Order

RELATIVE_S = 5.0
"""How long a relative order waits for somebody who takes its price."""

_TRIGGERED_BY_STOP = frozenset({"STP", "STOP_LIMIT", "TRAIL", "TRAILLMT"})
_TRIGGERED_BY_TOUCH = frozenset({"MIT", "LIT"})
TRIGGERED = _TRIGGERED_BY_STOP | _TRIGGERED_BY_TOUCH


@dataclass(frozen=True, slots=True)
class Sides:
    """Bid and ask as quoted and how much there is of each; ``legs`` the last price of each leg, in its currency."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    legs: tuple[float, ...] = ()

    @property
    def middle(self) -> float:
        return (self.bid + self.ask) / 2


def sides(market: Market, contract: Contract, now: float) -> Sides:
    """The market in one contract."""
    bid, ask = market.spread(contract, market.price(contract, now))
    sizes = [market.size(contract, side, now) for side in ("bid", "ask")]
    return Sides(contract.quoted(bid), contract.quoted(ask), sizes[0], sizes[1])


def sides_of_legs(market: Market, legs: Legs, now: float) -> Sides:
    """The market in a combination: what its legs cost together, a price for one unit of each multiplier."""
    bid = ask = 0.0
    size, paid = float("inf"), []
    for conid, ratio in legs:
        leg = market.contracts[conid]
        low, high = market.spread(leg, market.price(leg, now))
        bid += ratio * (low if ratio > 0 else high)
        ask += ratio * (high if ratio > 0 else low)
        size = min(size, *(market.size(leg, side, now) for side in ("bid", "ask")))
        paid.append((low + high) / 2)
    return Sides(round(bid, 4), round(ask, 4), size, size, tuple(paid))


def trigger(order: Order, now: Sides) -> None:
    """Move a trailing stop, and note when the price that ``order`` waits for is reached."""
    if order.triggered or order.type not in TRIGGERED:
        return
    price = now.ask if order.side == "BUY" else now.bid
    if order.type in {"TRAIL", "TRAILLMT"}:
        order.stop = _trailed(order, price)
        reached = order.stop
    else:
        reached = trigger_price(order)
    if order.type in _TRIGGERED_BY_STOP:
        order.triggered = price >= reached if order.side == "BUY" else price <= reached
    else:
        order.triggered = price <= reached if order.side == "BUY" else price >= reached


def trigger_price(order: Order) -> float:
    """The stop, or the price to be touched: ``auxPrice`` where ``price`` is the limit, else ``price``."""
    ticket = order.ticket
    if order.type in {"STOP_LIMIT", "LIT"}:
        return float(ticket["auxPrice"])
    return float(ticket["price"] if ticket.get("price") is not None else ticket["auxPrice"])


def _trailed(order: Order, price: float) -> float:
    """Where the stop stands when the market is at ``price``: it follows in one direction only."""
    ticket = order.ticket
    distance = float(ticket["trailingAmt"])
    if ticket.get("trailingType") == "%":
        distance *= price / 100
    follows = price + order.sign * distance
    given = ticket.get("auxPrice") if order.type == "TRAILLMT" else ticket.get("price")
    before = order.stop if order.stop is not None else given
    if before is None:
        return follows
    return min(float(before), follows) if order.side == "BUY" else max(float(before), follows)


def price_for(order: Order, market: Sides, now: float) -> float | None:
    """What ``order`` would be filled at, None when the market does not take it."""
    buys = order.side == "BUY"
    price = market.ask if buys else market.bid
    limit = _limit(order)
    match order.type:
        case "MIDPRICE":
            price = order.contract.quoted(order.contract.rounded(market.middle / order.contract.magnifier))
        case "REL":
            if now < order.placed_at + RELATIVE_S:
                return None
            offset = float(order.ticket.get("auxPrice") or 0)
            price = market.bid + offset if buys else market.ask - offset
    if limit is not None and (price > limit if buys else price < limit):
        return None
    return price


def _limit(order: Order) -> float | None:
    ticket, given = order.ticket, order.ticket.get("price")
    if order.type in {"LMT", "LOC", "STOP_LIMIT", "LIT", "MIDPRICE", "REL"}:
        return None if given is None else float(given)
    if order.type == "TRAILLMT" and order.stop is not None:
        # The limit keeps the distance from the stop that it had in the ticket.
        return order.stop + float(ticket["price"]) - float(ticket["auxPrice"])
    return None


def units_for(order: Order, price: float) -> float:
    """How many units an order for money buys at ``price``: whole shares, and no more than the money is for."""
    units = order.cash / price * order.contract.magnifier
    if order.contract.kind == "STK":
        return float(floor(units))
    return round(units - 0.005, 2) if order.contract.kind == "CASH" else floor(units * 1e8) / 1e8


def quantity_for(order: Order, available: float) -> float:
    """How much of ``order`` is dealt now, with so much on the other side."""
    wanted = order.remaining
    if order.ticket.get("allOrNone") or order.tif == "FOK":
        return wanted if available >= wanted else 0.0
    return min(wanted, available)
