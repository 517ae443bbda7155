"""Order tickets as they are sent: their form, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_simulator.answers.refusals import as_conid, as_number, bad_request, body_of
from ib_simulator.call import Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders.lifetime import TIMES_IN_FORCE
from ib_simulator.world.orders.order import ORDER_TYPES, Legs, cash_of, type_of

Ticket = dict[str, Any]

MOST = 1e12
"""No number in a ticket is as high."""

WRONG_TYPE = "orders request includes parameter with incorrect type"
SIDES = ("BUY", "SELL", "Buy", "Sell")
_TYPES: dict[type | tuple[type, ...], tuple[str, ...]] = {
    str: (
        *("acctId", "conidex", "secType", "cOID", "parentId", "orderType", "side", "tif", "trailingType"),
        *("listingExchange", "ticker", "referrer", "strategy", "extOperator", "allocationMethod"),
        *("customerAccount", "taxOptimizerId"),
    ),
    (int, float): ("quantity", "price", "auxPrice", "cashQty", "fxQty", "trailingAmt", "manualOrderTime"),
    bool: (
        *("outsideRTH", "isSingleGroup", "isCcyConv", "useAdaptive", "deactivated", "allOrNone"),
        *("manualIndicator", "isProCustomer"),
    ),
    dict: ("strategyParameters",),
    (int, str): ("conid",),
}
_SPREADS = {
    28812380: "USD",
    58666491: "GBP",
    61227087: "CHF",
    61227082: "CAD",
    61227077: "AUD",
    61227072: "HKD",
    61227069: "JPY",
}
"""What stands before the legs of a combination, by currency."""


def tickets_in(call: Call) -> list[Ticket]:
    """The ``orders`` array of the body."""
    tickets = body_of(call).get("orders")
    if not isinstance(tickets, list) or not tickets or not all(isinstance(ticket, dict) for ticket in tickets):
        raise bad_request("orders must be an array of orders")
    return [_without_nulls(ticket) for ticket in tickets]


def ticket_in(call: Call) -> Ticket:
    """The body as one ticket, as for a change."""
    return _without_nulls(body_of(call))


def _without_nulls(ticket: Mapping[str, Any]) -> Ticket:
    return {name: value for name, value in ticket.items() if value is not None}


def check_form(world: World, account: str, ticket: Ticket) -> None:
    """Refuse with 400 what no order can be made of."""
    _check_types(ticket)
    if ticket.get("acctId", account) != account:
        raise bad_request("acctId differs from the account of the request")
    if ticket.get("side") not in SIDES:
        raise bad_request("Invalid Side")
    if type_of(ticket) not in ORDER_TYPES or str(ticket["orderType"]) != str(ticket["orderType"]).upper():
        raise bad_request("Invalid order type")
    if ticket.get("tif", "DAY") not in TIMES_IN_FORCE:
        raise bad_request("Invalid tif")
    contract_in(world, ticket)
    if "quantity" not in ticket and not cash_of(ticket):
        raise bad_request("quantity is missing")
    if len(str(ticket.get("cOID", ""))) > 64:
        raise bad_request("cOID is too long")


def _check_types(ticket: Ticket) -> None:
    for kind, names in _TYPES.items():
        for name in names:
            value = ticket.get(name)
            wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
            too_much = not wrong and isinstance(value, int | float) and not -MOST < value < MOST
            if value is not None and (wrong or too_much):
                raise Refusal(400, {"error": WRONG_TYPE, "statusCode": 400})


def contract_in(world: World, ticket: Ticket) -> Contract:
    """What the ticket is for; of a combination what its first leg is on. 400 when there is no such thing."""
    legs = legs_in(world, ticket)
    if legs:
        leg = world.contracts[legs[0][0]]
        return world.contracts[leg.future or leg.underlying or leg.conid]
    found = world.contracts.get(as_conid(ticket.get("conid") or ticket.get("conidex") or ""))
    if found is None:
        raise bad_request("Invalid contract")
    return found


def legs_in(world: World, ticket: Ticket) -> Legs:
    """The legs of a combination, none for anything else; a ``conid`` beside them wins. 400 when they are no legs."""
    text = str(ticket.get("conidex") or "")
    if ticket.get("conid") or ";;;" not in text:
        return ()
    spread, _, rest = text.partition(";;;")
    legs = []
    for part in rest.partition("@")[0].split(","):
        conid, _, ratio = part.partition("/")
        number = as_number(ratio.lstrip("-"))
        contract = world.contracts.get(as_conid(conid))
        if not number or contract is None:
            raise bad_request("Invalid contract")
        legs.append((contract.conid, -number if ratio.startswith("-") else number))
    currencies = {world.contracts[conid].currency for conid, _ in legs}
    if len(legs) < 2 or {_SPREADS.get(as_conid(spread))} != currencies:
        raise bad_request("Invalid contract")
    return tuple(legs)


def describe(contract: Contract, ticket: Ticket, *, verb: str | None = None) -> str:
    """E.g. ``Buy 10 Limit 240.00, GTC``."""
    side = str(ticket["side"]).upper()
    word = verb or ("Buy" if side == "BUY" else "Sell")
    kind = ORDER_TYPES[type_of(ticket)]
    price = "" if ticket.get("price") is None else f" {ticket['price']:.{contract.quoted_decimals}f}"
    tif = str(ticket.get("tif") or "DAY")
    return f"{word} {cash_of(ticket) or ticket.get('quantity'):g} {kind}{price}, {'Day' if tif == 'DAY' else tif}"
