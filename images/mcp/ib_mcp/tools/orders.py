"""Reading tools about orders and trades; all need the brokerage session."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import cut, pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso_ms
from ib_mcp.tools.arguments import Account, Cursor, Limit, Symbol, Text
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import InvalidRequest, UpstreamError

_FINISHED = frozenset({"Filled", "Cancelled", "Inactive"})
_SIDES = {"B": "BUY", "S": "SELL", "N": "NETTED"}
_ORDER = (
    "order_id",
    "symbol",
    "conid",
    "side",
    "type",
    "quantity",
    "filled",
    "price",
    "average_price",
    "status",
    "time_in_force",
    "own_id",
    "changed",
    "account",
)
_TRADE = (
    "time",
    "symbol",
    "conid",
    "side",
    "quantity",
    "price",
    "commission",
    "amount",
    "exchange",
    "order_id",
    "own_id",
    "account",
)
# Ours and IBKR's names in an order status.
_STATUS = {
    "symbol": "symbol",
    "conid": "conid",
    "type": "order_type",
    "quantity": "total_size",
    "filled": "cum_fill",
    "average_price": "average_price",
    "limit_price": "limit_price",
    "stop_price": "stop_price",
    "time_in_force": "tif",
    "currency": "currency",
    "account": "account",
}


@read_tool("Order Monitoring")
async def get_account_orders(
    context: ToolContext,
    account: Account = None,
    status: Literal["working", "all"] = "working",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Orders of today and of this session: working ones, or also filled and cancelled ones."""
    chosen = await context.accounts.resolve(account)
    several = len(await context.accounts.all()) > 1
    body = (
        await context.guard.call("list_live_orders", account=chosen, query={"accountId": chosen if several else None})
    ).object
    orders = [
        order
        for order in body.get("orders") or ()
        if pick(order, "acct", "account") in (None, chosen)
        and (status == "all" or str(order.get("status")) not in _FINISHED)
    ]
    shown, more = cut(orders, cursor, limit)
    symbols = await context.contracts.symbols(order.get("conid") for order in shown)
    answer: Answer = {"account": chosen, "orders": table(_ORDER, (_order(order, symbols) for order in shown), more)}
    if body.get("snapshot") is False and not orders:
        answer["complete"] = False
        answer["note"] = "IBKR has not loaded the orders yet; ask again in a few seconds."
    return answer


def _order(row: dict[str, Any], symbols: dict[str, str]) -> list[Any]:
    return [
        pick(row, "orderId", "order_id"),
        # IBKR names the order of an option or a currency pair like its underlying.
        symbols.get(str(row.get("conid"))) or pick(row, "ticker", "symbol", "description1"),
        row.get("conid"),
        _side(row.get("side")),
        pick(row, "orderType", "origOrderType"),
        figure(pick(row, "totalSize", "totalCashSize")),
        figure(row.get("filledQuantity")),
        figure(pick(row, "price", "auxPrice", "stop_price")),
        figure(pick(row, "avgPrice")),
        row.get("status"),
        row.get("timeInForce"),
        pick(row, "order_ref"),
        iso_ms(row.get("lastExecutionTime_r")),
        pick(row, "acct", "account"),
    ]


@read_tool("Order Monitoring")
async def get_account_trades(
    context: ToolContext,
    account: Account = None,
    symbol: Symbol | None = None,
    days: Annotated[int, Field(ge=1, le=7, description="back from today")] = 1,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Executions of up to 7 days, with commission."""
    chosen = await context.accounts.resolve(account)
    conid = None if symbol is None else (await context.contracts.resolve(symbol)).conid
    body = (await context.guard.call("list_trades", account=chosen, query={"days": days})).rows
    trades = [
        trade
        for trade in body
        if pick(trade, "account", "accountCode") in (None, chosen) and conid in (None, _number(trade.get("conid")))
    ]
    shown, more = cut(trades, cursor, limit)
    symbols = await context.contracts.symbols(trade.get("conid") for trade in shown)
    return {
        "account": chosen,
        "trades": table(_TRADE, (_trade(trade, symbols) for trade in shown), more),
        **await _of_selected(context, chosen),
    }


async def _of_selected(context: ToolContext, account: str) -> Answer:
    """A warning where IBKR tells the trades of another account: it has one selected for everybody."""
    if len(await context.accounts.all()) == 1:
        return {}
    selected = (await context.guard.call("list_brokerage_accounts", account=account)).object.get("selectedAccount")
    if selected in (None, account, "All"):
        return {}
    return {
        "complete": False,
        "note": "IBKR tells the trades of the account selected in this session only, which is another one.",
    }


def _trade(row: dict[str, Any], symbols: dict[str, str]) -> list[Any]:
    return [
        iso_ms(row.get("trade_time_r")) or row.get("trade_time"),
        symbols.get(str(row.get("conid"))) or pick(row, "symbol", "contract_description_1"),
        row.get("conid"),
        _side(row.get("side")),
        figure(row.get("size")),
        figure(row.get("price")),
        figure(row.get("commission")),
        figure(row.get("net_amount")),
        row.get("exchange"),
        row.get("order_id"),
        pick(row, "order_ref"),
        pick(row, "account", "accountCode"),
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
    symbols = await context.contracts.symbols([body.get("conid")])
    return {
        "order_id": order_id,
        "status": body["order_status"],
        "description": untrusted(pick(body, "order_status_description", "order_description")),
        "order": untrusted(pick(body, "order_description_with_contract", "order_description")),
        "side": _side(body.get("side")),
        **{name: figure(body.get(key)) for name, key in _STATUS.items() if pick(body, key) is not None},
        **({"symbol": symbol} if (symbol := symbols.get(str(body.get("conid")))) else {}),
        "can_cancel": body.get("cannot_cancel_order") is not True,
    }


def _unknown(order_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"IBKR knows no order {order_id} of the selected account in this session.",
        action="Take an order_id from get_account_orders.",
    )


def _side(text: Any) -> Any:
    return _SIDES.get(str(text), text)


def _number(conid: Any) -> int | None:
    return int(conid) if str(conid).isdecimal() else None
