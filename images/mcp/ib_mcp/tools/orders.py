"""The orders of an account; needs the brokerage session."""

from __future__ import annotations

from typing import Any, Literal

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import compact, cut, pick
from ib_mcp.formats.times import iso_compact, iso_ms
from ib_mcp.portfolio import order as orders
from ib_mcp.tools.arguments import Account, Cursor, Limit, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.modes import mode_of
from ib_mcp.tools.row_contracts import Described, conids_of, described, left_out_note, readable, symbol_of, unreadable
from ib_mcp.tools.row_filter import about, none_about

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
    mode = await mode_of(context, chosen)
    answer: Answer = {"mode": mode, "account": chosen, "age_ms": reply.age_ms, "orders": rows}
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
