"""What is read before an order is previewed: rules, prices, hours, position, currency, and IBKR's what-if."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import conid_of, objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.text import untrusted
from ib_mcp.market.contract import Contract
from ib_mcp.portfolio import order as orders
from ib_mcp.tools.order_market import at_once, if_told, market_of
from ib_mcp.trading import modification, what_if
from ib_mcp.trading.contract_rules import ContractRules
from ib_mcp.trading.order import Algo, Order
from ib_mcp.trading.preview import Seen
from ib_mcp.trading.tickets import Ticket
from ibkr.errors import InvalidRequest, UpstreamError, UpstreamTimeout


async def algo_of(context: ToolContext, contract: Contract, asked: Algo) -> Algo:
    """``asked`` by IBKR's spelling. InvalidRequest names the algos that there are, or the parameters of this one."""
    query = {"addParams": 1}
    path = {"conid": contract.conid}
    known = {
        str(row.get("id")): row
        for row in objects(
            (await context.guard.call("list_contract_algos", path=path, query=query)).object.get("algos")
        )
    }
    by_name = {str(name).casefold(): key for key, row in known.items() for name in (row.get("name"), key)}
    found = by_name.get(asked.id.strip().casefold())
    if found is None:
        raise InvalidRequest(
            f"IBKR has no algo {asked.id[:40]!r} for {contract.symbol}.",
            action=f"Choose of: {', '.join(sorted(known))}." if known else "Leave algo out.",
        )
    parameters = {str(row.get("id")): row for row in objects(known[found].get("parameters"))}
    unknown = [name for name in asked.parameters if name not in parameters]
    missing = [name for name, row in parameters.items() if _is_required(row) and name not in asked.parameters]
    if unknown or missing:
        said = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [f"needs {', '.join(missing)}"] * bool(missing)
        told = ", ".join(f"{name} ({untrusted(row.get('name'), 60)})" for name, row in parameters.items())
        raise InvalidRequest(
            f"The algo {found} {' and '.join(said)}.", action=f"Its algo_parameters are: {told or 'none'}."
        )
    return Algo(found, asked.parameters)


def _is_required(row: dict[str, Any]) -> bool:
    return str(row.get("required")).lower() in ("true", "1") and row.get("defaultValue") in (None, "")


async def held_of(context: ToolContext, account: str, contract: Contract) -> Decimal | None:
    """Units held; None where IBKR does not tell it."""
    path = {"accountId": account, "conid": contract.conid}
    rows = (await context.guard.call("get_position", path=path)).rows
    own = [row for row in rows if conid_of(row) == contract.conid]
    amounts = [decimal(row.get("position")) for row in own]
    return None if None in amounts else sum((each for each in amounts if each is not None), Decimal(0))


async def currency_of(context: ToolContext, account: str, currency: str) -> tuple[str | None, Decimal | None]:
    """The account's base currency, and how much of it one of ``currency`` is."""
    base = await context.accounts.currency(account)
    if base is None or base == currency:
        return base, Decimal(1) if base else None
    body = (await context.guard.call("get_ledger", path={"accountId": account})).object
    row = body.get(currency)
    return base, decimal(row.get("exchangerate")) if isinstance(row, dict) else None


async def what_if_of(
    context: ToolContext, account: str, tickets: Sequence[Ticket]
) -> tuple[what_if.WhatIf | None, str]:
    """What IBKR says that the orders would do; None and why where it says nothing. InvalidRequest: it would not take
    them."""
    path = {"accountId": account}
    try:
        reply = await context.guard.call("preview_orders", path=path, body={"orders": list(tickets)})
    except UpstreamError as error:
        if error.status == 400:
            raise InvalidRequest(
                f"IBKR would not take this order: {error.message}", action="Correct it, and preview it again."
            ) from error
        return None, error.message
    except UpstreamTimeout as error:
        return None, error.message
    found = what_if.parse(reply.object)
    if found.refusal and not found.cost and not found.margin:
        raise InvalidRequest(f"IBKR would not take this order: {found.refusal}", action="Correct it, or ask for less.")
    return found, ""


async def seen_of(
    context: ToolContext, account: str, order: Order, rules: ContractRules, tickets: Sequence[Ticket] | None = None
) -> Seen:
    """What is to be known of an order; with ``tickets`` IBKR's what-if and what is held too."""

    async def money() -> tuple[str | None, Decimal | None]:
        return await if_told(currency_of(context, account, order.contract.currency)) or (None, None)

    async def effect() -> tuple[what_if.WhatIf | None, str]:
        return await what_if_of(context, account, tickets) if tickets else (None, "")

    market, (base, rate), (effects, failed) = await at_once(market_of(context, order), money(), effect())
    units = None
    if tickets and not order.legs and not order.is_conversion:
        # The what-if tells it too; of several orders not for which of them.
        told = effects.position if effects is not None and len(tickets) == 1 else None
        units = told.before if told is not None else None
        if units is None:
            units = await if_told(held_of(context, account, order.contract))
    return Seen(account, rules, market, units, base, rate, effects, failed)


async def standing_order(context: ToolContext, account: str, order_id: str) -> dict[str, Any]:
    """IBKR's status of a working order. InvalidRequest when there is none, or it is final."""
    try:
        body = (await context.guard.call("get_order_status", account=account, path={"orderId": order_id})).object
    except UpstreamError as error:
        if error.status != 503:
            raise
        body = {}
    if body.get("error") or not body.get("order_status"):
        raise InvalidRequest(
            f"IBKR knows no order {order_id} in {account} in this session.",
            action="Take an order_id from get_account_orders.",
        )
    status = str(body["order_status"])
    if orders.state(status) == "finished" or status in ("PendingCancel", "PreCancelled"):
        raise InvalidRequest(f"Order {order_id} is {status}.", action="Preview a new order where one is wanted.")
    return body


async def order_in(context: ToolContext, ticket: Ticket) -> Order:
    """The order that a ticket stands for, with its instruments described."""
    legs = [conid for conid, _ in orders.legs(ticket)]
    own = conid_of(ticket) or decimal(str(ticket.get("conidex") or "").partition("@")[0])
    known = await context.contracts.known(legs or ([int(own)] if own else []))
    return modification.order_of(ticket, known)
