"""What an account holds: filtered, sorted, grouped and added up in its base currency."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import cents, plain
from ib_mcp.formats.tables import compact, cut
from ib_mcp.formats.times import iso_date
from ib_mcp.portfolio import ledger, selection
from ib_mcp.portfolio.holding import NOTIONAL, Holding
from ib_mcp.portfolio.selection import Group, Sort
from ib_mcp.tools.arguments import Account, Cursor, Limit, Names, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.position_data import all_positions, with_quotes
from ibkr.errors import IbError

# Expiries are days of exchanges, and IBKR's day is New York's.
_TODAY_IN = ZoneInfo("America/New_York")
_COLUMNS = (
    "symbol",
    "conid",
    "class",
    "exchange",
    "position",
    "price",
    "multiplier",
    "currency",
    "value",
    "base_value",
    "share",
    "average_price",
    "unrealized_pnl",
    "daily_pnl",
    "expiry",
    "days",
    "underlying_price",
    "underlying_timing",
    "in_the_money",
    "model",
)
_GROUP = ("positions", "value", "share", "notional", "unrealized_pnl", "daily_pnl")
_NOTIONAL = "value of FUT, CASH and CFD is notional, no part of net liquidation; they have no share."
_DAILY = frozenset({"daily_pnl", "-daily_pnl"})


@read_tool("Portfolio")
async def get_account_positions(
    context: ToolContext,
    account: Account = None,
    symbol: Annotated[Text | None, Field(max_length=80, description="a ticker: all on it; else one instrument")] = None,
    asset_class: Annotated[Names | None, Field(description="STK, OPT, BOND ...")] = None,
    expires_within_days: Annotated[int | None, Field(ge=0)] = None,
    sort: Annotated[Sort | None, Field(description="pnl: worst first, with - best first")] = None,
    group_by: Group | None = None,
    quotes: Annotated[bool, Field(description="adds daily_pnl, underlying_price, in_the_money")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Positions with value, share of net liquidation, cost and profit; totals in the base currency."""
    chosen = await context.accounts.resolve(account)
    currency = await context.accounts.currency(chosen)
    money = ledger.parse((await context.guard.call("get_ledger", path={"accountId": chosen})).object)
    positions = await all_positions(context, chosen, money, currency)
    today = datetime.fromtimestamp(context.wall(), _TODAY_IN).date()
    found = positions.holdings
    if symbol is not None:
        found = selection.named(found, symbol)
    unknown: list[str] = []
    if asset_class is not None:
        found, unknown = selection.of_classes(found, asset_class)
    if expires_within_days is not None:
        found = selection.expiring(found, expires_within_days, today)
    answer: Answer = {"account": chosen, "base_currency": currency, "age_ms": positions.age_ms}
    if unknown:
        answer["unknown_classes"] = unknown
    if not found and positions.holdings:
        answer["note"] = _none_held(symbol, positions.holdings)

    wants_quotes = quotes or sort in _DAILY or symbol is not None or expires_within_days is not None
    every = sort in _DAILY or group_by is not None or len(found) <= limit
    if wants_quotes and every:
        found, problem = await _quoted(context, found)
        answer |= problem
    if sort is not None:
        found = selection.in_order(found, sort)
    whole = money.net_liquidation
    answer["totals"] = _totals(found, whole)
    if group_by is not None:
        shown, more = cut(list(selection.groups(found, group_by).items()), cursor, limit)
        rows = [_group(name, held, whole) for name, held in shown]
        answer["groups"] = compact((group_by, *_GROUP), rows, more)
        return answer | _remarks(found, positions.unreadable)
    part, more = cut(found, cursor, limit)
    if wants_quotes and not every:
        part, problem = await _quoted(context, part)
        answer |= problem
    answer["positions"] = compact(_COLUMNS, (_row(one, whole, today) for one in part), more, kept=2)
    return answer | _remarks(part, positions.unreadable)


async def _quoted(context: ToolContext, holdings: Sequence[Holding]) -> tuple[list[Holding], Answer]:
    """With quotes, or as they are and the reason."""
    try:
        return await with_quotes(context, holdings), {}
    except IbError as error:
        return list(holdings), {"quotes_missing": error.message}


def _none_held(symbol: str | None, holdings: Sequence[Holding]) -> str:
    """What there is instead."""
    if symbol is not None and not selection.named(holdings, symbol):
        near = selection.near(holdings, symbol)
        held = f" Held are {', '.join(near)}." if near else ""
        return f"No position is held on {symbol[:40]!r}.{held}"
    kinds = ", ".join(sorted({one.kind for one in holdings}))
    first = min((one.expiry for one in holdings if one.expiry), default="")
    expiring = f" The first to expire does so on {iso_date(first)}." if first else ""
    return f"No position fits. Held are of the classes {kinds} (ETFs are STK at IBKR).{expiring}"


def _totals(holdings: Sequence[Holding], whole: Decimal | None) -> Answer:
    """In the base currency."""
    found = selection.sums(holdings)
    return {
        "positions": found.positions,
        **found.shown(),
        **({} if found.value is None or not whole else {"share": _share(found.value, whole)}),
        **({"without_base_value": found.incomplete} if found.incomplete else {}),
        **({"without_daily_pnl": found.without_daily} if found.daily is not None and found.without_daily else {}),
        "net_liquidation": plain(whole),
    }


def _share(amount: Decimal | None, whole: Decimal | None) -> Any:
    """Of net liquidation, as a share of 1."""
    return None if amount is None or not whole else plain(round(amount / whole, 4))


def _group(name: str, holdings: Sequence[Holding], whole: Decimal | None) -> list[Any]:
    found = selection.sums(holdings)
    shown = found.shown() | {"positions": found.positions, "share": _share(found.value, whole)}
    return [name, *(shown.get(column) for column in _GROUP)]


def _row(one: Holding, whole: Decimal | None, today: date) -> list[Any]:
    return [
        one.symbol,
        one.conid,
        one.kind,
        one.exchange,
        plain(one.position),
        plain(one.price),
        plain(one.multiplier),
        one.currency,
        plain(one.value),
        plain(cents(one.base_value)),
        _share(one.worth, whole),
        plain(one.average_price),
        plain(one.unrealized),
        plain(one.quoted.daily_pnl),
        iso_date(one.expiry or None),
        one.days(today),
        plain(one.quoted.underlying_price),
        one.quoted.underlying_timing,
        one.in_the_money,
        one.model,
    ]


def _remarks(holdings: Sequence[Holding], unreadable: Sequence[str]) -> Answer:
    """What a reader of these rows has to know."""
    found: Answer = {}
    if any(one.kind in NOTIONAL for one in holdings):
        found["remark"] = _NOTIONAL
    if unreadable:
        found["unreadable"] = list(unreadable[:10])
    return found
