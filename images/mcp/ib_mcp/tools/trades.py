"""Executions of the last days, with what was paid and received."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import figure, plain
from ib_mcp.formats.tables import compact, cut, pick, table
from ib_mcp.formats.times import iso_compact, iso_ms
from ib_mcp.portfolio import order, trade
from ib_mcp.tools.arguments import Account, Cursor, Limit, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.row_contracts import Described, conids_of, described, left_out_note, readable, symbol_of, unreadable
from ib_mcp.tools.row_filter import about, none_about

_TRADE = (
    "time",
    "symbol",
    "conid",
    "class",
    "side",
    "quantity",
    "price",
    "currency",
    "price_unit",
    "proceeds",
    "commission",
    "commission_currency",
    "net_cash",
    "exchange",
    "order_id",
    "own_id",
    "liquidation",
    "account",
)
_MEANING = (
    "proceeds: received, negative where paid, without commission; net_cash: with it. IBKR does not tell a commission's "
    "currency: it is taken as the trade's, and as unknown for currency pairs."
)


@read_tool("Order Monitoring")
async def get_account_trades(
    context: ToolContext,
    account: Account = None,
    symbol: Text | None = None,
    days: Annotated[int, Field(ge=1, le=7, description="back from today at IBKR")] = 1,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Executions of up to 7 days, with commission and totals by currency."""
    chosen = await context.accounts.resolve(account)
    reply = await context.guard.call("list_trades", account=chosen, query={"days": days})
    found = await context.accounts.own_rows(chosen, reply.rows)
    known = await described(context, (conid for row in found.own for conid in conids_of(row)))
    told, broken = readable(found.own, "size")
    own = told if symbol is None else about(symbol, told, known)
    shown, more = cut(own, cursor, limit)
    money = [_money(row, known) for row in own]
    rows = compact(_TRADE, (_trade(row, known) for row in shown), more, kept=2)
    answer: Answer = {"account": chosen, "age_ms": reply.age_ms, "trades": rows}
    answer |= known.note | found.left_out | unreadable(broken, known)
    if symbol is not None and not own:
        answer |= none_about(symbol, "trades")
    if own:
        answer |= {"totals": table(trade.TOTALS, trade.totals(money)), "remark": _MEANING}
    if len(await context.accounts.all()) > 1:
        answer |= await left_out_note(context, chosen, "trades")
    return answer


def _money(row: dict[str, Any], known: Described) -> tuple[str | None, str, trade.Money]:
    contract = known.of(row)
    kind = str(pick(row, "sec_type", "secType") or (contract.kind if contract else ""))
    currency = known.currency(row)
    return currency, kind, trade.money(row, order.side(row.get("side")), kind, currency)


def _trade(row: dict[str, Any], known: Described) -> list[Any]:
    currency, kind, money = _money(row, known)
    return [
        iso_ms(row.get("trade_time_r")) or iso_compact(row.get("trade_time")),
        symbol_of(row, known),
        figure(row.get("conid")),
        kind or None,
        order.side(row.get("side")),
        figure(row.get("size")),
        figure(row.get("price")),
        currency,
        known.unit(row),
        plain(money.proceeds),
        plain(money.commission),
        money.commission_currency,
        plain(money.net_cash),
        row.get("exchange"),
        row.get("order_id"),
        pick(row, "order_ref"),
        str(row.get("liquidation_trade") or "0") not in ("0", "false") or None,
        pick(row, "accountCode", "account"),
    ]
