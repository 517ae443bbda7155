"""IBKR's order tickets. Names, units and JSON types are those of its place call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from ib_mcp.formats.numbers import plain
from ib_mcp.trading.order import Order
from ib_mcp.trading.order_types import TYPES
from ibkr.errors import InvalidRequest
from ibkr.spreads import SPREADS

Ticket = dict[str, Any]
Group = Literal["single", "bracket", "oca"]
_SPREAD_IDS = {currency: conid for conid, currency in SPREADS.items()}
_AT_HOME = "USD"


def ticket_of(order: Order, account: str, operator: str) -> Ticket:
    """``operator``: who answers for orders of a machine at the futures exchanges."""
    ticket: Ticket = {"acctId": account, **_instrument(order), "orderType": order.type.code, "side": order.side}
    if order.quantity is not None:
        ticket["quantity"] = json_number(order.quantity)
    elif order.cash is not None:
        ticket["fxQty" if order.is_conversion else "cashQty"] = json_number(order.cash)
    ticket |= _prices(order)
    ticket["tif"] = order.tif
    if order.outside_hours:
        ticket["outsideRTH"] = True
    if order.is_conversion:
        ticket["isCcyConv"] = True
    if order.algo is not None:
        ticket |= {"strategy": order.algo.id, "strategyParameters": dict(order.algo.parameters)}
    if order.is_marked:
        ticket |= {"manualIndicator": False, "extOperator": operator}
    return ticket


def tickets_of(orders: Sequence[Order], group: Group, account: str, operator: str, parent_id: str) -> list[Ticket]:
    """The tickets of one place call. ``parent_id``: a new client order id, which ties a bracket together."""
    tickets = [ticket_of(order, account, operator) for order in orders]
    if group == "bracket":
        return [tickets[0] | {"cOID": parent_id}, *(child | {"parentId": parent_id} for child in tickets[1:])]
    return [ticket | {"isSingleGroup": True} for ticket in tickets] if group == "oca" else tickets


def bracket(parent: Order, take_profit: Decimal | None, stop_loss: Decimal | None) -> list[Order]:
    """``parent`` and what ends its position: at a profit by a limit, at a loss by a stop."""
    if parent.quantity is None:
        raise InvalidRequest("A bracket needs quantity: what closes it has to name units.")
    if take_profit is not None and stop_loss is not None and (take_profit - stop_loss) * parent.sign <= 0:
        above, below = ("take_profit", "stop_loss") if parent.sign > 0 else ("stop_loss", "take_profit")
        raise InvalidRequest(f"Of a {parent.side} {above} has to be above {below}.")
    entry = parent.limit if parent.limit is not None else parent.stop
    for name, price, sign in (("take_profit", take_profit, 1), ("stop_loss", stop_loss, -1)):
        if price is not None and entry is not None and (price - entry) * parent.sign * sign <= 0:
            side = "above" if parent.sign * sign > 0 else "below"
            raise InvalidRequest(f"{name} {price:f} has to be {side} the price of the order, {entry:f}.")
    child = replace(
        parent,
        side="SELL" if parent.side == "BUY" else "BUY",
        limit=None,
        stop=None,
        trail=None,
        algo=None,
        tif="GTC" if parent.tif == "GTC" else "DAY",
    )
    children = []
    if take_profit is not None:
        children.append(replace(child, type=TYPES["limit"], limit=take_profit))
    if stop_loss is not None:
        # A stop order is none that works outside regular hours.
        children.append(replace(child, type=TYPES["stop"], stop=stop_loss, outside_hours=False))
    return [parent, *children]


def json_number(value: Decimal) -> int | float:
    """The same number in JSON. InvalidRequest where it has more digits than a JSON reader keeps."""
    number = plain(value)
    if number is None or isinstance(number, str):
        raise InvalidRequest(f"{value:f} has more digits than can be sent.", action="Round it.")
    return number


def _prices(order: Order) -> Ticket:
    """IBKR's ``price`` is the limit, or of an order without one what triggers it, which else is ``auxPrice``."""
    first, second = (order.limit, order.stop) if "limit" in order.type.needs else (order.stop, None)
    found: Ticket = {}
    if order.type.name in ("midprice", "relative"):
        first = order.limit
    if first is not None:
        found["price"] = json_number(first)
    if second is not None:
        found["auxPrice"] = json_number(second)
    if order.trail is None:
        return found
    if order.type.name == "relative":
        return found | {"auxPrice": json_number(order.trail.amount)}
    return found | {
        "trailingAmt": json_number(order.trail.amount),
        "trailingType": "%" if order.trail.is_percent else "amt",
    }


def _instrument(order: Order) -> Ticket:
    """Routed by IBKR (SMART) unless the agent named an exchange; a combination by its legs."""
    if order.legs:
        return {"conidex": _conidex(order)}
    if order.contract.asked_exchange:
        return {"conidex": order.contract.conidex}
    return {"conid": order.contract.conid}


def _conidex(order: Order) -> str:
    currencies = {leg.contract.currency for leg in order.legs}
    if len(currencies) > 1:
        raise InvalidRequest(f"The legs are in several currencies: {', '.join(sorted(currencies))}.")
    (currency,) = currencies
    spread = _SPREAD_IDS.get(currency)
    if spread is None:
        raise InvalidRequest(
            f"IBKR's Web API tells no way to trade combinations in {currency}.",
            action=f"Order the legs one by one; combinations are possible in {', '.join(sorted(_SPREAD_IDS))}.",
        )
    place = ""
    if currency != _AT_HOME:
        exchanges = {leg.contract.exchange for leg in order.legs}
        if len(exchanges) > 1:
            raise InvalidRequest(f"The legs are listed on several exchanges: {', '.join(sorted(exchanges))}.")
        place = f"@{exchanges.pop()}"
    return f"{spread}{place};;;{','.join(f'{leg.contract.conid}/{leg.ratio}' for leg in order.legs)}"
