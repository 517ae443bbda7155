"""Changing a working order: IBKR wants the whole ticket again, with what is different."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.market.contract import Contract
from ib_mcp.portfolio.order import legs as legs_in
from ib_mcp.portfolio.order import side as side_in
from ib_mcp.trading.order import Algo, Distance, Leg, Order, check_sense
from ib_mcp.trading.order_types import BY_CODE, TYPES, OrderType, Tif
from ib_mcp.trading.tickets import Ticket, json_number, ticket_of
from ibkr.errors import InvalidRequest

# What IBKR's status calls the types whose whole ticket it tells.
_STATUS_TYPES = {
    "LIMIT": "limit",
    "LMT": "limit",
    "MARKET": "market",
    "MKT": "market",
    "STOP": "stop",
    "STP": "stop",
    "STOPLIMIT": "stop_limit",
    "STPLMT": "stop_limit",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None: as it is."""

    quantity: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: str | None = None
    tif: Tif | None = None
    outside_hours: bool | None = None

    @property
    def is_empty(self) -> bool:
        return self == Change()


def sent_ticket(entries: Iterable[Mapping[str, Any]], order_id: str) -> Ticket | None:
    """The ticket as it was sent last, among the guard's entries (newest first); None when it was placed elsewhere."""
    for entry in entries:
        tickets = objects(entry.get("orders"))
        if entry.get("kind") == "modify" and str(entry.get("order_id")) == order_id and tickets:
            return tickets[0]
        outcome = entry.get("outcome")
        states = objects(outcome.get("orders")) if isinstance(outcome, dict) else []
        for ticket, state in zip(tickets, states, strict=False):
            if str(state.get("order_id")) == order_id:
                return ticket
    return None


def told_ticket(status: Mapping[str, Any], account: str, order_id: str) -> Ticket:
    """The ticket that IBKR's status of an order tells. InvalidRequest where that is not all of it."""
    kind = "".join(sign for sign in str(status.get("order_type") or "").upper() if sign.isalpha())
    name = _STATUS_TYPES.get(kind)
    quantity = decimal(status.get("total_size"))
    conid = decimal(status.get("conid"))
    if name is None or not quantity or not conid or legs_in(dict(status)) or status.get("sec_type") == "BAG":
        raise InvalidRequest(
            f"Order {order_id} was placed elsewhere, and IBKR does not tell all of it, so it cannot be changed here.",
            action="Change it where it was placed, or cancel it and preview a new one.",
        )
    ticket: Ticket = {
        "acctId": account,
        "conid": int(conid),
        "orderType": TYPES[name].code,
        "side": side_in(status.get("side")),
        "quantity": json_number(quantity),
        "tif": str(status.get("tif") or "DAY"),
    }
    limit, stop = decimal(status.get("limit_price")), decimal(status.get("stop_price"))
    first, second = (stop, None) if name == "stop" else (limit, stop)
    if first:
        ticket["price"] = json_number(first)
    if second:
        ticket["auxPrice"] = json_number(second)
    if str(status.get("outside_rth")).lower() in ("true", "1"):
        ticket["outsideRTH"] = True
    return ticket


def order_of(ticket: Mapping[str, Any], contracts: Mapping[int, Contract]) -> Order:
    """The order that a ticket stands for. ``contracts`` by conid: its own, or those of its legs."""
    kind = BY_CODE.get(str(ticket.get("orderType")))
    parts = legs_in(dict(ticket))
    conid = int(decimal(ticket.get("conid")) or 0) or int(str(ticket.get("conidex") or "0").split("@")[0].split(";")[0])
    contract = contracts.get(parts[0][0] if parts else conid)
    if kind is None or contract is None:
        raise InvalidRequest("This order cannot be changed here.", action="Cancel it and preview a new one.")
    _, _, exchange = str(ticket.get("conidex") or "").partition("@")
    if exchange and not parts:
        contract = replace(contract, asked_exchange=exchange)
    first, second = decimal(ticket.get("price")), decimal(ticket.get("auxPrice"))
    limit, stop = _limit_and_stop(kind, first, second)
    return Order(
        contract,
        "SELL" if str(ticket.get("side")).upper() == "SELL" else "BUY",
        kind,
        decimal(ticket.get("quantity")),
        decimal(ticket.get("cashQty") or ticket.get("fxQty")),
        limit,
        stop,
        _distance(kind, ticket, second),
        ticket.get("tif", "DAY"),
        ticket.get("outsideRTH") is True,
        Algo(str(ticket["strategy"]), ticket.get("strategyParameters") or {}) if ticket.get("strategy") else None,
        ticket.get("isCcyConv") is True,
        tuple(Leg(contracts[conid], ratio) for conid, ratio in parts if conid in contracts),
    )


def _limit_and_stop(
    kind: OrderType, price: Decimal | None, aux: Decimal | None
) -> tuple[Decimal | None, Decimal | None]:
    if kind.name == "relative":
        return price, None
    if "limit" in (*kind.needs, *kind.may):
        return price, aux
    return None, price


def _distance(kind: OrderType, ticket: Mapping[str, Any], aux: Decimal | None) -> Distance | None:
    amount = decimal(ticket.get("trailingAmt"))
    if amount is not None:
        return Distance(amount, ticket.get("trailingType") == "%")
    return Distance(aux) if kind.name == "relative" and aux is not None else None


def changed(order: Order, change: Change, filled: Decimal) -> Order:
    """``order`` with the changes. InvalidRequest for what it cannot have, or less than what is filled already."""
    if change.is_empty:
        raise InvalidRequest(
            "Nothing is to be changed.", action="Give quantity, limit, stop, trail, tif or outside_hours."
        )
    if change.quantity is not None and order.quantity is None:
        raise InvalidRequest("This order is for an amount of money, which cannot be changed.", action="Cancel it.")
    if change.quantity is not None and change.quantity <= filled:
        raise InvalidRequest(
            f"{filled:f} are filled already, and quantity counts those too.",
            action=f"Give more than {filled:f}, or cancel the rest.",
        )
    given = {
        "quantity": change.quantity,
        "limit": change.limit,
        "stop": change.stop,
        "trail": None if change.trail is None else Distance.read(change.trail),
        "tif": change.tif,
        "outside_hours": change.outside_hours,
    }
    found = replace(order, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    check_sense(found)
    return found


def changed_ticket(before: Ticket, was: Order, becomes: Order, account: str, operator: str) -> Ticket:
    """The whole new ticket. What the old one has beyond the order itself, such as its parent, stays, but not its own
    name: a change has none."""
    own = ticket_of(was, account, operator)
    kept = {name: value for name, value in before.items() if name not in own and name != "cOID"}
    return kept | ticket_of(becomes, account, operator)
