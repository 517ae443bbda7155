"""Bookings of one instrument in an account, from IBKR's analyst service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import cents, figure, plain
from ib_mcp.formats.tables import compact, cut, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso_ms
from ib_mcp.portfolio import bookings
from ib_mcp.tools.arguments import Account, Cursor, Limit, Names, Symbol
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.held_contract import resolve_held
from ibkr import catalogue
from ibkr.errors import InvalidRequest

# One question of 15 minutes has to serve every shorter time, so it is always the longest.
LONGEST_DAYS = 1825
_COLUMNS = ("date", "type", "quantity", "price", "amount", "currency", "exchange_rate", "description")


@read_tool("Portfolio Analyst")
async def get_account_transactions(
    context: ToolContext,
    symbol: Symbol,
    account: Account = None,
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = 90,
    types: Annotated[Names | None, Field(description="dividend, buy ...")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Answer:
    """Trades, dividends and other bookings of one instrument, with totals. IBKR answers for one per 15 minutes."""
    chosen = await context.accounts.resolve(account)
    contract = await resolve_held(context, chosen, symbol)
    currency = await context.accounts.currency(chosen)
    if currency is None:
        raise InvalidRequest(
            "IBKR does not tell the base currency of this account, which it wants to be asked in.",
            action="Ask call_endpoint for list_transactions with currency.",
        )
    reply = await context.guard.call(
        "list_transactions",
        body={"acctIds": [chosen], "conids": [contract.conid], "currency": currency, "days": LONGEST_DAYS},
    )
    body = reply.object
    first = (datetime.fromtimestamp(context.wall(), UTC) - timedelta(days=days)).date().isoformat()
    listed = objects(body.get("transactions"))
    found = bookings.since(listed, first)
    if types is not None:
        found = bookings.of_types(found, types)
    part, more = cut(found, cursor, limit)
    return {
        "account": chosen,
        "symbol": contract.symbol,
        "conid": contract.conid,
        "name": contract.name,
        **({"also": list(contract.also)} if contract.also else {}),
        "since": first,
        "known_since": iso_ms(body.get("from")),
        "until": iso_ms(body.get("to")),
        "includes_today": body.get("includesRealTime") is True,
        **_realized(body, first, currency),
        "totals": table(bookings.TOTALS, bookings.totals(found)),
        "transactions": compact(_COLUMNS, map(_transaction, part), more, kept=2),
        "other_symbols_in_s": max(0, _every_s() - reply.age_ms // 1000),
        **({"warning": untrusted(body["warning"], 200)} if body.get("warning") else {}),
        **_older(listed, found, types),
    }


def _every_s() -> int:
    """Seconds between two questions of this kind, by the catalogue."""
    pacing = catalogue.load()["list_transactions"].pacing
    return int(pacing.seconds) if pacing else 0


def _realized(body: dict[str, Any], first: str, currency: str) -> Answer:
    """With its currency and the days that it is of."""
    found = bookings.realized(body, first)
    if found is None:
        return {}
    told = str(body.get("currency") or currency)
    begin = first if found.of == "asked" else iso_ms(body.get("from"))
    return {"realized_pnl": {"amount": plain(cents(found.amount)), "currency": told, "since": begin}}


def _older(listed: list[dict[str, Any]], found: list[dict[str, Any]], types: list[str] | None) -> Answer:
    """Where nothing fits, what there would be."""
    if found or not listed:
        return {}
    dates = sorted(day for row in listed if (day := bookings.date_of(row)) is not None)
    kinds = sorted({str(row.get("type")) for row in listed})
    kind = " of these types" if types else ""
    return {
        "note": f"None{kind} in these days; of {dates[0]} to {dates[-1]} there are {len(listed)}: {', '.join(kinds)}."
        if dates
        else f"None{kind} in these days."
    }


def _transaction(row: dict[str, Any]) -> list[Any]:
    return [
        bookings.date_of(row),
        row.get("type"),
        figure(row.get("qty")),
        figure(row.get("pr")),
        figure(row.get("amt")),
        row.get("cur"),
        figure(row.get("fxRate")),
        untrusted(row.get("desc"), 200),
    ]
