"""An order in words, as an agent and the person who approves it read it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ib_mcp.trading.order import Order
from ib_mcp.trading.tickets import Group

_TIFS = {
    "DAY": "for the day",
    "GTC": "until cancelled",
    "IOC": "at once or not at all, as far as it can be filled",
    "OPG": "at the opening",
    "OVT": "in the overnight session",
    "OND": "in the overnight session and the day after it",
    "PAX": "for as long as the coin's exchange allows",
}


def describe(order: Order, unit: str | None = None) -> str:
    """E.g. ``BUY 10 AAPL, limit 240.5 USD, for the day``."""
    money = unit or order.contract.currency
    parts = [f"{order.side} {_size(order)}", _type(order, money), _TIFS[order.tif]]
    if order.outside_hours:
        parts.append("also outside regular hours")
    if order.algo is not None:
        given = ", ".join(f"{name} {value}" for name, value in order.algo.parameters.items())
        parts.append(f"by IBKR's algo {order.algo.id}" + (f" ({given})" if given else ""))
    return ", ".join(parts)


def describe_all(orders: Sequence[Order], group: Group, unit: str | None = None) -> list[str]:
    """A line for each order, with what it is to the others."""
    lines = [describe(order, unit) for order in orders]
    if group == "bracket":
        return [lines[0], *(f"once that is filled: {line}" for line in lines[1:])]
    return [f"one cancels all: {line}" for line in lines] if group == "oca" else lines


def roles(orders: Sequence[Order], group: Group) -> list[str]:
    """What each was called by who wrote it, before a sentence on it; nothing for the first."""
    if group == "bracket":
        return ["", *("take_profit: " if child.stop is None else "stop_loss: " for child in orders[1:])]
    return ["", *(f"oca {place}: " for place in range(1, len(orders)))]


def _size(order: Order) -> str:
    if order.is_conversion:
        base, quote = order.contract.root, order.contract.currency
        if order.cash is not None:
            return f"{base} for {order.cash:f} {quote} (currency conversion)"
        return f"{order.quantity:f} {base} with {quote} (currency conversion)"
    if order.cash is not None:
        return f"{order.symbol} for {order.cash:f} {order.contract.currency}"
    if order.legs:
        return f"{order.quantity:f} x ({order.symbol})"
    return f"{order.quantity:f} {order.symbol}"


def _type(order: Order, money: str) -> str:
    def at(price: Decimal | None) -> str:
        return f"{price:f} {money}"

    distance = "" if order.trail is None else str(order.trail) if order.trail.is_percent else f"{order.trail} {money}"
    match order.type.name:
        case "market":
            return "at the market"
        case "stop" | "mit":
            return f"{order.type.words} at {at(order.stop)}, then at the market"
        case "stop_limit" | "lit":
            return f"{order.type.words} at {at(order.stop)}, then limit {at(order.limit)}"
        case "trailing":
            first = "" if order.stop is None else f", at first {at(order.stop)}"
            return f"trailing stop {distance} behind the market{first}, then at the market"
        case "trailing_limit":
            return (
                f"trailing stop {distance} behind the market, at first {at(order.stop)}, then limit {at(order.limit)}"
            )
        case "relative":
            return f"relative, {distance} better than the best price" + _cap(order, money)
        case "midprice":
            return "at the midprice" + _cap(order, money)
        case "market_on_close":
            return "at the closing price"
        case "limit_on_close":
            return f"at the closing price, limit {at(order.limit)}"
        case _:
            return f"{order.type.words} {at(order.limit)}"


def _cap(order: Order, money: str) -> str:
    return (
        "" if order.limit is None else f", {'at most' if order.side == 'BUY' else 'at least'} {order.limit:f} {money}"
    )
