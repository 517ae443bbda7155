"""Order tickets: what IBKR refuses in them and what it asks back."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import as_amount, as_conid, bad_request, body_of
from ib_simulator.call import Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders import ORDER_TYPES, PRICED

Question = tuple[str, str]
"""Message id and text."""

_NUMBERS = ("quantity", "price", "auxPrice", "cashQty", "fxQty", "trailingAmt")


def tickets_in(call: Call) -> list[dict[str, Any]]:
    """The ``orders`` array of the body."""
    tickets = body_of(call).get("orders")
    if not isinstance(tickets, list) or not tickets or not all(isinstance(ticket, dict) for ticket in tickets):
        raise bad_request("orders must be an array of orders")
    return tickets


def contract_in(world: World, ticket: dict[str, Any]) -> Contract:
    found = world.contracts.get(as_conid(ticket.get("conid") or ticket.get("conidex") or ""))
    if found is None:
        raise bad_request("Invalid contract")
    return found


def check(world: World, account: str, ticket: dict[str, Any]) -> str | None:
    """Refuse a ticket whose form is wrong (400); the text of a rejection (sent with status 200), or None."""
    for name in _NUMBERS:
        value = ticket.get(name)
        if value is not None and (isinstance(value, str) or as_amount(value) is None):
            raise Refusal(400, {"error": "orders request includes parameter with incorrect type", "statusCode": 400})
    if ticket.get("acctId", account) != account:
        raise bad_request("acctId differs from the account of the request")
    if str(ticket.get("side", "")).upper() not in {"BUY", "SELL"}:
        raise bad_request("Invalid Side")
    kind = str(ticket.get("orderType", "")).upper()
    if kind not in ORDER_TYPES:
        raise bad_request("Invalid order type")
    contract = contract_in(world, ticket)
    if not ticket.get("quantity") and not ticket.get("cashQty"):
        raise bad_request("quantity is missing")
    if (ticket.get("quantity") or ticket.get("cashQty") or 0) <= 0:
        return "Order size must be positive."
    if kind in PRICED and ticket.get("price") is None:
        return f"A {ORDER_TYPES[kind]} order needs a price."
    if contract.kind in {"FUT", "FOP"} and "manualIndicator" not in ticket:
        return "Manual order indicator must be set for this contract."
    if contract.kind == "IND":
        return "No trading permission for this contract."
    handle = ticket.get("cOID")
    if handle and world.orders.has_handle(str(handle)):
        return f"Order couldn't be submitted: Local order ID={handle} is already registered."
    return None


def questions(world: World, call: Call, ticket: dict[str, Any]) -> list[Question]:
    """What IBKR asks before it takes ``ticket``, without the suppressed ones."""
    contract = contract_in(world, ticket)
    last = contract.quoted(world.market.price(contract, call.now))
    asked: list[Question] = []
    price, kind = ticket.get("price"), str(ticket["orderType"]).upper()
    if kind == "LMT" and price is not None and last and abs(price / last - 1) > 0.03:
        asked.append(("o163", f"The limit price is more than 3% away from the market price of {last}. Submit it?"))
    lines = call.memory.notes.get("lines", {})
    if not any(as_conid(key) == contract.conid for key in lines):
        asked.append(("o354", "You have no market data for this instrument. Submit the order without it?"))
    if (ticket.get("quantity") or 0) > 500 and contract.kind != "CASH":
        asked.append(("o383", "The order is larger than your size limit of 500. Submit it?"))
    if kind == "STP":
        asked.append(("o10331", "A stop order may be filled far from its stop price. Submit it?"))
    suppressed = call.memory.notes.get("suppressed", ())
    return [question for question in asked if question[0] not in suppressed]


def describe(contract: Contract, ticket: dict[str, Any], *, verb: str | None = None) -> str:
    """E.g. ``Buy 10 Limit 240.00, GTC``."""
    side = str(ticket["side"]).upper()
    word = verb or ("Buy" if side == "BUY" else "Sell")
    kind = ORDER_TYPES[str(ticket["orderType"]).upper()]
    price = "" if ticket.get("price") is None else f" {ticket['price']:.{contract.quoted_decimals}f}"
    tif = str(ticket.get("tif") or "DAY")
    return f"{word} {ticket.get('quantity') or ticket.get('cashQty'):g} {kind}{price}, {'Day' if tif == 'DAY' else tif}"
