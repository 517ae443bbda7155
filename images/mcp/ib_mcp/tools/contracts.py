"""Tools that find and describe instruments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso, iso_date
from ib_mcp.gather import gather
from ib_mcp.market import lookups
from ib_mcp.market.contract import Contract
from ib_mcp.tools.arguments import Limit, Symbol
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import IbError, SessionCompeting, SessionReopening

_FOUND = ("symbol", "conid", "type", "exchange", "currency", "name", "derivatives")
_INFO = {
    "industry": "group",
    "sector": "sector",
    "expiry": "expiry",
    "last_trading_day": "lastTradingDay",
    "strike": "strike",
    "right": "putOrCall",
    "multiplier": "multiplier",
    "underlying_conid": "undConid",
    "exchanges": "allExchanges",
    "has_options": "hasOptions",
}
_RULES = {
    "order_types": "orderTypes",
    "order_types_outside_hours": "orderTypesOutside",
    "times_in_force": "tifTypes",
    "default_size": "defaultSize",
    "size_increment": "sizeIncrement",
    "price_increment": "increment",
    "preview_required": "forceOrderPreview",
    "accounts": "canTradeAcctIds",
    "problem": "error",
}


@read_tool("Contract")
async def search_contracts(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=60, description="symbol, or words of a company name")],
    type: Literal["STK", "IND", "FUT", "OPT"] | None = None,
    limit: Limit = 20,
) -> Answer:
    """Find instruments and their conids."""
    try:
        rows = await _search(context, query, type)
    except (SessionReopening, SessionCompeting) as error:
        # The portal's list of stocks needs no brokerage session.
        return await _stocks_only(context, query, limit, error)
    known = await context.contracts.known(int(row["conid"]) for row in rows[:limit])
    found = ((*_identity(row, known.get(int(row["conid"]))), _derivatives(row)) for row in rows[:limit])
    return {"contracts": table(_FOUND, found), **({"note": f"{len(rows) - limit} more"} if len(rows) > limit else {})}


async def _search(context: ToolContext, query: str, kind: str | None) -> list[dict[str, Any]]:
    """By symbol; where none fits, by name."""
    rows = await lookups.matches(context.guard, symbol=query.upper(), secType=kind)
    return rows or await lookups.matches(context.guard, symbol=query, name=True, secType=kind)


async def _stocks_only(context: ToolContext, query: str, limit: int, reason: IbError) -> Answer:
    symbol = query.upper()
    listed = await lookups.stocks(context.guard, [symbol])
    known = await context.contracts.known(listing.conid for listing in listed.get(symbol, [])[:limit])
    return {
        "contracts": table(_FOUND, ((*_identity({}, contract), None) for contract in known.values())),
        "note": f"Only stocks with exactly this symbol were searched. {reason.message}",
    }


def _identity(row: dict[str, Any], contract: Contract | None) -> tuple[Any, ...]:
    """From the description, or from what the search itself tells."""
    if contract is None:
        name = untrusted(row.get("companyName"), 80)
        return row["symbol"], int(row["conid"]), None, row.get("description"), None, name
    return contract.symbol, contract.conid, contract.kind, contract.exchange, contract.currency, contract.name


def _derivatives(row: dict[str, Any]) -> str | None:
    """What is traded on it: OPT, FUT, ..."""
    kinds = (str(section.get("secType")) for section in row.get("sections") or () if section.get("months"))
    return " ".join(dict.fromkeys(kinds)) or None


@read_tool("Contract")
async def get_contract_details(
    context: ToolContext, symbol: Symbol, rules: bool = False, hours: bool = False
) -> Answer:
    """Describe one instrument; rules: what orders it takes; hours: when it trades."""
    contract = await context.contracts.resolve(symbol)
    row = next(iter(await lookups.definitions(context.guard, [contract.conid])), {})
    answer: Answer = {
        "symbol": contract.symbol,
        "conid": contract.conid,
        "type": contract.kind,
        "name": contract.name,
        "exchange": contract.exchange,
        "currency": contract.currency,
        **{name: _shown(name, row[key]) for name, key in _INFO.items() if row.get(key) not in (None, "", 0, "0", 0.0)},
    }
    extras = []
    if rules:
        extras.append(_rules(context, contract.conid))
    if hours:
        extras.append(_hours(context, contract.conid))
    for extra in await gather(extras):
        answer |= extra
    return answer


def _shown(name: str, value: Any) -> Any:
    return iso_date(value) if name in ("expiry", "last_trading_day") else figure(value)


async def _rules(context: ToolContext, conid: int) -> Answer:
    body = (await context.guard.call("get_contract_rules", body={"conid": conid, "isBuy": True})).object
    return {"rules": {name: body[key] for name, key in _RULES.items() if pick(body, key) is not None}}


async def _hours(context: ToolContext, conid: int) -> Answer:
    """Of six days around today, in UTC."""
    body = (await context.guard.call("get_contract_trading_schedule", query={"conid": conid})).object
    rows = [
        (iso_date(day), kind, iso(window.get("opening")), iso(window.get("closing")))
        for day, hours in sorted((body.get("schedules") or {}).items())
        for kind in ("liquid_hours", "extended_hours")
        for window in hours.get(kind) or ()
    ]
    return {"time_zone": body.get("exchange_time_zone"), "hours": table(("date", "kind", "opens", "closes"), rows)}
