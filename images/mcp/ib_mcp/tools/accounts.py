"""Tools about accounts, what they are worth and in which currency. All but today's profit need only the portal."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import cents, decimal, figure, plain
from ib_mcp.formats.tables import compact, pick, table, used
from ib_mcp.formats.times import iso_ms
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ib_mcp.portfolio import ledger, pnl
from ib_mcp.portfolio.ledger import BESIDE, PARTS, TOTAL, Balance
from ib_mcp.tools.arguments import Account
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.margin_headroom import headroom
from ibkr.errors import IbError, InvalidRequest

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
    "leverage-s": "leverage_securities",
    "accruedcash": "accrued_interest",
    "accrueddividend": "accrued_dividends",
    "daytradesremaining": "day_trades_remaining",
    "accounttype": "account_type",
}
_UNLIMITED = -1
_ACCOUNT = ("account", "alias", "type", "currency", "mode", "gateway")
_AMOUNTS = (*PARTS, TOTAL, *BESIDE)
_NO_LEDGER = "IBKR tells no balances of this account; a new or closed one has none. Ask again in a minute."
_ADDS_UP = (
    "The columns up to 'other' add up to net_liquidation; 'other' is what IBKR counts in it without naming a class. "
    "Columns of zeros are left out. in_base is net_liquidation in the base currency: the exposure to that currency."
)


@read_tool("Portfolio")
async def list_accounts(context: ToolContext) -> Answer:
    """Accounts: id, alias, type, base currency; live or paper."""
    gateways = context.guard.each()
    found: list[tuple[list[dict[str, Any]], str, str | None]]
    if len(gateways) == 1:
        # The mode first: it tells of another sign-in, and then the accounts are asked for anew.
        mode = await _mode(context.guard)
        found = [(await context.accounts.all(), mode, None)]
    else:
        found = [
            (rows, mode, name)
            for name, (rows, mode) in zip(
                gateways, await gather(_accounts_of(guard) for guard in gateways.values()), strict=True
            )
        ]
        # Raises what keeps all of them from listing any.
        await context.accounts.all()
    # The same account may be at several gateways, and is one all the same.
    by_id: dict[str, tuple[dict[str, Any], str, list[str]]] = {}
    for listed, mode, name in found:
        for row in listed:
            by_id.setdefault(str(row["accountId"]), (row, mode, []))[2].extend([name] if name else [])
    rows = compact(
        _ACCOUNT,
        (
            (
                row["accountId"],
                pick(row, "accountAlias"),
                pick(row, "type"),
                pick(row, "currency"),
                mode,
                ", ".join(names) or None,
            )
            for row, mode, names in by_id.values()
        ),
        kept=2,
    )
    silent = [name for listed, _, name in found if not listed]
    return {
        "default": await context.accounts.default(),
        "accounts": rows,
        **({"gateways_without_accounts": silent} if any(silent) else {}),
    }


async def _accounts_of(guard: Guard) -> tuple[list[dict[str, Any]], str]:
    """One gateway's accounts and whether it is live or paper; none where it does not answer."""
    mode = await _mode(guard)
    try:
        rows = (await guard.call("list_portfolio_accounts")).rows
    except IbError:
        return [], "unknown"
    return [row for row in rows if row.get("accountId")], mode


async def _mode(guard: Guard) -> str:
    try:
        return (await guard.status()).mode
    except IbError:
        return "unknown"


@read_tool("Portfolio")
async def get_account_summary(
    context: ToolContext,
    account: Account = None,
    market_move: Annotated[float | None, Field(description="%, e.g. -10: margin after it")] = None,
    all_figures: bool = False,
) -> Answer:
    """Net liquidation, cash, buying power, margin, and profit and loss of today."""
    chosen = await context.accounts.resolve(account)
    figures, profit = await gather((_figures(context, chosen, all_figures), _profit(context, chosen)))
    answer = {"account": chosen, **figures, **profit}
    if market_move is not None:
        if not -100 <= market_move <= 100:
            raise InvalidRequest("A market moves by -100 to 100 %.", action="Give market_move in percent, like -10.")
        try:
            answer["after_market_move"] = await headroom(context, chosen, figures["figures"], market_move)
        except IbError as error:
            answer["after_market_move_missing"] = error.message
    return answer


async def _profit(context: ToolContext, account: str) -> Answer:
    """Profit and loss now, or why there is none: it needs the brokerage session."""
    try:
        rows = (await context.guard.call("get_profit_and_loss", account=account)).object.get("upnl")
    except IbError as error:
        return {"pnl_missing": error.message}
    currency = await context.accounts.currency(account)
    return pnl.parse(rows if isinstance(rows, dict) else {}, account, currency)


async def _figures(context: ToolContext, account: str, everything: bool) -> Answer:
    """Our figures by name; with ``everything`` IBKR's others too, under its keys (-s securities, -c commodities)."""
    reply = await context.guard.call("get_portfolio_summary", path={"accountId": account})
    body = reply.object
    figures: dict[str, Any] = {}
    for key in body if everything else _FIGURES:
        entry = body.get(key)
        if not isinstance(entry, dict) or entry.get("isNull") is True:
            continue
        text = entry.get("value")
        # Cushion and leverage come as text.
        figures[_FIGURES.get(key, key)] = figure(text if isinstance(text, str) and text else entry.get("amount"))
    if decimal(figures.get("day_trades_remaining")) == _UNLIMITED:
        figures["day_trades_remaining"] = "unlimited"
    worth = body.get("netliquidation")
    worth = worth if isinstance(worth, dict) else {}
    return {
        "currency": worth.get("currency"),
        "as_of": iso_ms(worth.get("timestamp")),
        "age_ms": reply.age_ms,
        "figures": figures,
    }


@read_tool("Portfolio")
async def get_account_balances(context: ToolContext, account: Account = None) -> Answer:
    """Cash and values by currency that add up to net liquidation; exposure by currency."""
    chosen = await context.accounts.resolve(account)
    reply = await context.guard.call("get_ledger", path={"accountId": chosen})
    found = ledger.parse(reply.object)
    columns, rows = used(
        ("currency", *_AMOUNTS, "in_base", "share"),
        (_balance(row, found.net_liquidation) for row in found.currencies),
        always=("currency", TOTAL),
    )
    answer: Answer = {"account": chosen, "base_currency": await context.accounts.currency(chosen)}
    if found.base is None and not rows:
        return answer | {"balances": table(columns, rows), "note": _NO_LEDGER}
    if found.base is not None:
        seconds = found.base.timestamp
        answer |= {"as_of": None if seconds is None else iso_ms(_milliseconds(seconds)), "age_ms": reply.age_ms}
        answer["total"] = {name: amount for name, amount in _amounts(found.base).items() if amount}
        answer["total"][TOTAL] = plain(found.base.total)
        answer["total"].pop("exchange_rate", None)
    return answer | {"balances": table(columns, rows), "note": _ADDS_UP}


def _milliseconds(stamp: Decimal) -> Decimal:
    """IBKR writes the ledger's time in seconds, and in milliseconds in some captures."""
    return stamp * 1000 if stamp < 10**11 else stamp


def _balance(row: Balance, whole: Decimal | None) -> list[Any]:
    amounts = _amounts(row)
    share = None if row.in_base is None or not whole else plain(round(row.in_base / whole, 4))
    return [row.currency, *map(amounts.get, _AMOUNTS), plain(cents(row.in_base)), share]


def _amounts(row: Balance) -> dict[str, Any]:
    amounts = {name: plain(cents(amount) if name == "other" else amount) for name, amount in row.parts.items()}
    return amounts | {TOTAL: plain(row.total)} | {name: plain(amount) for name, amount in row.beside.items()}
