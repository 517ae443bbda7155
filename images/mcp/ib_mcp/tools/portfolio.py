"""Tools about accounts and what is in them. All but the profit and loss need only the portal session."""

from __future__ import annotations

import re
from typing import Any

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import foreign_cursor, pick, table
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ib_mcp.tools.arguments import Account, Cursor, Limit, Symbol
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import IbError

_PAGE = 100
_CURSOR = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")

# IBKR's key of /portfolio/{account}/summary and our name.
_FIGURES = {
    "netliquidation": "net_liquidation",
    "totalcashvalue": "cash",
    "availablefunds": "available_funds",
    "excessliquidity": "excess_liquidity",
    "buyingpower": "buying_power",
    "grosspositionvalue": "gross_position_value",
    "equitywithloanvalue": "equity_with_loan",
    "initmarginreq": "initial_margin",
    "maintmarginreq": "maintenance_margin",
    "cushion": "cushion",
    "leverage": "leverage",
    "accruedcash": "accrued_interest",
    "accrueddividend": "accrued_dividend",
    "daytradesremaining": "day_trades_remaining",
    "accounttype": "account_type",
}
_LEDGER = {
    "cash": "cashbalance",
    "settled_cash": "settledcash",
    "stocks": "stockmarketvalue",
    "options": "stockoptionmarketvalue",
    "futures_pnl": "futuremarketvalue",
    "bonds": "corporatebondsmarketvalue",
    "net_liquidation": "netliquidationvalue",
    "unrealized_pnl": "unrealizedpnl",
    "realized_pnl": "realizedpnl",
    "interest": "interest",
    "dividends": "dividends",
    "exchange_rate": "exchangerate",
}
_PNL = {"daily": "dpl", "unrealized": "upl", "net_liquidity": "nl", "excess_liquidity": "el"}
_POSITION = (
    "symbol",
    "conid",
    "class",
    "position",
    "price",
    "average_price",
    "value",
    "currency",
    "average_cost",
    "unrealized_pnl",
)


@read_tool("Portfolio")
async def list_accounts(context: ToolContext) -> Answer:
    """Accounts: id, alias, type, base currency; live or paper."""
    rows = await context.accounts.all()
    modes = {name: await _mode(guard) for name, guard in context.guard.each().items()}
    columns = ("account", "alias", "type", "currency")
    return {
        "mode": modes.popitem()[1] if len(modes) == 1 else modes,
        "default": await context.accounts.default(),
        "accounts": table(
            columns,
            ((row["accountId"], pick(row, "accountAlias"), pick(row, "type"), pick(row, "currency")) for row in rows),
        ),
    }


async def _mode(guard: Guard) -> str:
    try:
        return (await guard.status()).mode
    except IbError:
        return "unknown"


@read_tool("Portfolio")
async def get_account_summary(context: ToolContext, account: Account = None, all_figures: bool = False) -> Answer:
    """Net liquidation, cash, buying power, margin, and profit and loss of today."""
    chosen = await context.accounts.resolve(account)
    figures, pnl = await gather((_figures(context, chosen, all_figures), _profit(context, chosen)))
    return {"account": chosen, **figures, **pnl}


async def _profit(context: ToolContext, account: str) -> Answer:
    """Profit and loss now, or why there is none: it needs the brokerage session."""
    try:
        rows = (await context.guard.call("get_profit_and_loss", account=account)).object.get("upnl") or {}
    except IbError as error:
        return {"pnl_missing": error.message}
    row = rows.get(f"{account}.Core")
    if not row:
        return {"pnl_missing": "IBKR has not calculated it yet."}
    return {"pnl": {name: figure(row.get(key)) for name, key in _PNL.items()}}


async def _figures(context: ToolContext, account: str, everything: bool) -> Answer:
    """Our figures by name; with ``everything`` IBKR's others too, under its keys (-s securities, -c commodities)."""
    body = (await context.guard.call("get_portfolio_summary", path={"accountId": account})).object
    figures: dict[str, Any] = {}
    for key in body if everything else _FIGURES:
        entry = body.get(key)
        if not isinstance(entry, dict) or entry.get("isNull") is True:
            continue
        text = entry.get("value")
        figures[_FIGURES.get(key, key)] = text if isinstance(text, str) and text else figure(entry.get("amount"))
    return {"currency": (body.get("netliquidation") or {}).get("currency"), "figures": figures}


@read_tool("Portfolio")
async def get_account_balances(context: ToolContext, account: Account = None) -> Answer:
    """Cash and values by currency; BASE is the total in the base currency."""
    chosen = await context.accounts.resolve(account)
    body = (await context.guard.call("get_ledger", path={"accountId": chosen})).object
    rows = (
        (currency, *(figure(row.get(key)) for key in _LEDGER.values()))
        for currency, row in sorted(body.items(), key=lambda item: (item[0] != "BASE", item[0]))
        if isinstance(row, dict)
    )
    return {"account": chosen, "balances": table(("currency", *_LEDGER), rows)}


@read_tool("Portfolio")
async def get_account_positions(
    context: ToolContext,
    account: Account = None,
    symbol: Symbol | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Positions with price, value, cost and unrealized profit; symbol narrows to one instrument."""
    chosen = await context.accounts.resolve(account)
    if symbol is not None:
        contract = await context.contracts.resolve(symbol)
        path = {"accountId": chosen, "conid": contract.conid}
        rows, more = (await context.guard.call("get_position", path=path)).rows, None
    else:
        rows, more = await _positions(context, chosen, cursor, limit)
    return {"account": chosen, "positions": table(_POSITION, map(_position, rows), more)}


async def _positions(
    context: ToolContext, account: str, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """``limit`` open positions from ``cursor`` (page and place in it) on, and the cursor of the next ones."""
    number, place = _page_and_place(cursor)
    found: list[dict[str, Any]] = []
    while True:
        page = (await context.guard.call("list_positions", path={"accountId": account, "pageId": number})).rows
        for row in page[place:]:
            if len(found) == limit:
                return found, f"{number}.{place}"
            place += 1
            # A closed position stays in the list for the day.
            if row.get("position"):
                found.append(row)
        if len(page) < _page_size(page):
            return found, None
        number, place = number + 1, 0


def _page_and_place(cursor: str | None) -> tuple[int, int]:
    known = _CURSOR.fullmatch(cursor or "0.0")
    if known is None:
        raise foreign_cursor(cursor)
    return int(known[1]), int(known[2])


def _page_size(page: list[dict[str, Any]]) -> int:
    """How many positions a full page has; IBKR says it in every row that has its contract's details."""
    return next((int(row["pageSize"]) for row in page if row.get("pageSize")), _PAGE)


def _position(row: dict[str, Any]) -> list[Any]:
    return [
        _symbol(row),
        row.get("conid"),
        row.get("assetClass"),
        figure(row.get("position")),
        figure(row.get("mktPrice")),
        figure(row.get("avgPrice")),
        figure(row.get("mktValue")),
        row.get("currency"),
        figure(row.get("avgCost")),
        figure(row.get("unrealizedPnl")),
    ]


def _symbol(row: dict[str, Any]) -> Any:
    """As the other tools take it where IBKR gave enough, else IBKR's description."""
    ticker, kind, expiry = row.get("ticker"), row.get("assetClass"), row.get("expiry")
    match kind:
        case "OPT" | "FOP" if ticker and expiry and row.get("putOrCall"):
            return f"{ticker} {expiry} {str(row['putOrCall'])[0]} {figure(row.get('strike'))}"
        case "FUT" if ticker and expiry:
            return f"{ticker} {expiry}"
        case "STK" | "IND" if ticker:
            return ticker
    return row.get("contractDesc")
