"""Tools on the past of an account, from IBKR's analyst service: it answers each question once in 15 minutes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import cut, pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso_date
from ib_mcp.tools.arguments import Account, Cursor, Limit, Symbol
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import UpstreamError

Period = Literal["1D", "7D", "MTD", "1M", "YTD", "1Y"]


@read_tool("Portfolio Analyst")
async def get_account_performance(context: ToolContext, account: Account = None, period: Period = "1M") -> Answer:
    """Net asset value and cumulative return (0.01 is 1 %) day by day."""
    chosen = await context.accounts.resolve(account)
    # One question for all periods: IBKR would make us wait a quarter of an hour for the second one.
    body = (await context.guard.call("get_performance_all_periods", body={"acctIds": [chosen]})).object
    figures = body.get(chosen) or {}
    series = figures.get(period)
    if not isinstance(series, dict):
        known = [name for name, value in figures.items() if isinstance(value, dict)]
        raise UpstreamError(
            f"IBKR has no performance of {period} for this account.",
            action=f"It has: {', '.join(known) or 'none yet'}.",
        )
    dates, nav, returns = (series.get(name) or [] for name in ("dates", "nav", "cps"))
    start = series.get("startNAV") or {}
    rows = (
        (iso_date(date), figure(value), figure(change))
        for date, value, change in zip(dates, nav, returns, strict=False)
    )
    return {
        "account": chosen,
        "period": period,
        "currency": pick(figures, "baseCurrency") or pick(body, "currencyType"),
        "start": {"date": iso_date(start.get("date")), "net_asset_value": figure(start.get("val"))},
        "performance": table(("date", "net_asset_value", "cumulative_return"), rows),
        "updated": pick(figures, "lastSuccessfulUpdate"),
    }


@read_tool("Portfolio Analyst")
async def get_account_transactions(
    context: ToolContext,
    symbol: Symbol,
    account: Account = None,
    days: Annotated[int, Field(ge=1, le=3650)] = 90,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Trades, dividends and other bookings of one instrument. IBKR answers this once per 15 minutes."""
    chosen = await context.accounts.resolve(account)
    contract = await context.contracts.resolve(symbol)
    body = (
        await context.guard.call(
            "list_transactions",
            body={
                "acctIds": [chosen],
                "conids": [contract.conid],
                "currency": await context.accounts.currency(chosen),
                "days": days,
            },
        )
    ).object
    shown, more = cut(body.get("transactions") or [], cursor, limit)
    columns = ("date", "type", "quantity", "price", "amount", "currency", "exchange_rate", "description")
    realized: dict[str, Any] = body.get("rpnl") or {}
    return {
        "account": chosen,
        "symbol": contract.symbol,
        "conid": contract.conid,
        "realized_pnl": figure(realized.get("amt")),
        "transactions": table(columns, map(_transaction, shown), more),
    }


def _transaction(row: dict[str, Any]) -> list[Any]:
    return [
        iso_date(row.get("rawDate")) or row.get("date"),
        row.get("type"),
        figure(row.get("qty")),
        figure(row.get("pr")),
        figure(row.get("amt")),
        row.get("cur"),
        figure(row.get("fxRate")),
        untrusted(row.get("desc"), 200),
    ]
