"""Reading tools about orders; all need the brokerage session."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import compact, cut, pick
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso_compact, iso_ms
from ib_mcp.portfolio import order as orders
from ib_mcp.tools.arguments import Account, Cursor, Limit, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.row_contracts import Described, conids_of, described, left_out_note, readable, symbol_of, unreadable
from ib_mcp.tools.row_filter import about, none_about
from ibkr.errors import InvalidRequest, UpstreamError

_ORDER = (
    "order_id",
    "symbol",
    "conid",
    "class",
    "side",
    "type",
    "quantity",
    "filled",
    "cash_quantity",
    "cash_currency",
    "filled_in",
    "currency",
    "price_unit",
    "limit",
    "stop",
    "trail",
    "average_price",
    "status",
    "time_in_force",
    "own_id",
    "changed",
    "account",
)
_INACTIVE = (
    "Inactive orders do not work at present: IBKR refused or holds them, and may still activate them. They are neither "
    "working nor finished."
)


@read_tool("Order Monitoring")
async def get_account_orders(
    context: ToolContext,
    account: Account = None,
    symbol: Text | None = None,
    status: Literal["working", "all"] = "working",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Orders of today and of this session: working and inactive ones, or also filled and cancelled ones."""
    chosen = await context.accounts.resolve(account)
    several = len(await context.accounts.all()) > 1
    reply = await context.guard.call(
        "list_live_orders", account=chosen, query={"accountId": chosen if several else None}
    )
    body = reply.object
    listed = objects(body.get("orders"))
    found = await context.accounts.own_rows(chosen, listed)
    told, broken = readable(found.own, "side")
    kept = [row for row in told if status == "all" or orders.state(row.get("status")) != "finished"]
    known = await described(context, (conid for row in (*kept, *broken) for conid in conids_of(row)))
    if symbol is not None:
        kept = about(symbol, kept, known)
    shown, more = cut(kept, cursor, limit)
    rows = compact(_ORDER, (_order(row, known) for row in shown), more, kept=2)
    answer: Answer = {"account": chosen, "age_ms": reply.age_ms, "orders": rows}
    answer |= known.note | found.left_out | unreadable(broken, known)
    if symbol is not None and not kept:
        answer |= none_about(symbol, "orders" if status == "all" else "working orders")
    inactive = sum(orders.state(row.get("status")) == "inactive" for row in kept)
    if inactive:
        answer |= {"inactive": inactive, "note": _INACTIVE}
    if body.get("snapshot") is False and not listed:
        answer |= {"complete": False, "note": "IBKR has not loaded the orders yet; ask again in a few seconds."}
    elif not found.own and several:
        answer |= await left_out_note(context, chosen, "orders")
    return answer


def _order(row: dict[str, Any], known: Described) -> list[Any]:
    contract = known.of(row)
    size, prices = orders.size(row), orders.prices(row)
    return [
        pick(row, "orderId", "order_id"),
        symbol_of(row, known),
        figure(row.get("conid")),
        "BAG" if orders.legs(row) else pick(row, "secType") or (contract.kind if contract else None),
        orders.side(row.get("side")),
        pick(row, "orderType", "origOrderType"),
        size.quantity,
        size.filled,
        size.cash_quantity,
        size.cash_currency,
        size.filled_in,
        known.currency(row),
        known.unit(row),
        prices.limit,
        prices.stop,
        prices.trail,
        figure(pick(row, "avgPrice")),
        row.get("status"),
        row.get("timeInForce"),
        pick(row, "order_ref"),
        iso_ms(row.get("lastExecutionTime_r")) or iso_compact(row.get("lastExecutionTime")),
        pick(row, "acct", "account"),
    ]


@read_tool("Order Monitoring")
async def get_order_status(
    context: ToolContext, order_id: Annotated[Text, Field(pattern=r"^\d{1,20}$")], account: Account = None
) -> Answer:
    """Where one order of today stands."""
    chosen = None if account is None else await context.accounts.resolve(account)
    try:
        body = (await context.guard.call("get_order_status", account=chosen, path={"orderId": order_id})).object
    except UpstreamError as error:
        if error.status != 503:
            raise
        # IBKR's way to say that it has no such order, as for orders of other accounts and earlier sessions.
        raise _unknown(order_id) from error
    if body.get("error") or not body.get("order_status"):
        raise _unknown(order_id)
    known = await described(context, conids_of(body))
    size, prices = orders.size(body), orders.prices(body)
    figures = {
        "quantity": size.quantity,
        "filled": size.filled,
        "cash_quantity": size.cash_quantity,
        "cash_currency": size.cash_currency,
        "filled_in": size.filled_in,
        "currency": body.get("currency"),
        "price_unit": known.unit(body),
        "limit": prices.limit,
        "stop": prices.stop,
        "trail": prices.trail,
        "average_price": figure(pick(body, "average_price")),
        "time_in_force": body.get("tif"),
        "account": body.get("account"),
    }
    if size.cash_quantity is None and size.quantity == 0:
        # IBKR tells no cash quantity here.
        figures |= {"quantity": None, "note": "The order may be for an amount of money: see get_account_orders."}
    return {
        "order_id": order_id,
        "status": body["order_status"],
        "state": orders.state(body["order_status"]),
        "symbol": symbol_of(body, known),
        "conid": figure(body.get("conid")),
        "class": pick(body, "sec_type"),
        "description": untrusted(pick(body, "order_status_description", "order_description")),
        "order": untrusted(pick(body, "order_description_with_contract", "order_description")),
        "side": orders.side(body.get("side")),
        "type": body.get("order_type"),
        **{name: value for name, value in figures.items() if value is not None},
        "can_cancel": body.get("cannot_cancel_order") is not True,
        **known.note,
    }


def _unknown(order_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"IBKR knows no order {order_id} of the selected account in this session.",
        action="Take an order_id from get_account_orders.",
    )
