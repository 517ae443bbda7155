"""Tools that find and describe instruments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import figure, plain
from ib_mcp.formats.tables import compact, pick
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso, iso_date
from ib_mcp.gather import gather
from ib_mcp.market import exchanges, lookups
from ib_mcp.market.choices import Choices
from ib_mcp.market.contract import Contract
from ib_mcp.market.sessions import Schedule
from ib_mcp.tools.arguments import Limit, Symbol
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import InvalidRequest, SessionCompeting, SessionReopening

_FOUND = ("symbol", "conid", "class", "exchange", "currency", "name", "derivatives")
_HOURS = ("date", "opens", "closes", "extended_opens", "extended_closes", "early_close")
_MOST_WORDS = 3
_INFO = {
    "industry": "group",
    "sector": "sector",
    "expiry": "expiry",
    "last_trading_day": "lastTradingDay",
    "strike": "strike",
    "right": "putOrCall",
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
    "price_magnifier": "priceMagnifier",
    "preview_required": "forceOrderPreview",
    "accounts": "canTradeAcctIds",
    "problem": "error",
}


@read_tool("Contract")
async def search_contracts(
    context: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=60, description="symbol in any spelling, ISIN, or a name")],
    type: Literal["STK", "IND", "FUT", "OPT", "CASH", "CRYPTO", "FUND", "CFD"] | None = None,
    limit: Limit = 20,
) -> Answer:
    """Find instruments and their conids."""
    named, reason = await _named(context, query)
    try:
        rows = await _search(context, query, type)
    except (SessionReopening, SessionCompeting) as error:
        if not named:
            named = await _listed(context, query)
        note = f"Only stocks with exactly this symbol were searched. {error.message}"
        return {"contracts": compact(_FOUND, (_row({}, each) for each in named[:limit])), "note": note}
    derivatives = {int(row["conid"]): row for row in rows}
    conids = list(dict.fromkeys([*(each.conid for each in named), *derivatives]))
    known = await context.contracts.known(conids[:limit])
    found = [_row(derivatives.get(conid, {}), known.get(conid)) for conid in conids[:limit]]
    if type in ("STK", "IND", "CASH", "CRYPTO", "FUND", "CFD"):
        found = [row for row in found if row[2] == type]
    answer: Answer = {"contracts": compact(_FOUND, found)}
    if len(conids) > limit:
        answer["note"] = f"{len(conids) - limit} more"
    if type in ("FUT", "OPT") and found and not any(type in (row[-1] or "").split() for row in found):
        answer["note"] = f"Found by name, where IBKR does not tell which of them have {type}: search the symbol of one."
    if not found:
        answer["note"] = reason or "IBKR finds nothing by this symbol or name."
    return answer


async def _named(context: ToolContext, query: str) -> tuple[list[Contract], str]:
    """What the other tools would take ``query`` for, or the choices that they would give; else why there is nothing."""
    found, refused = await context.contracts.resolve_each([query])
    if found:
        return list(found.values()), ""
    error = refused[query]
    if isinstance(error, Choices) and error.choices:
        return list(error.choices), error.message
    return [], f"{error.message} Try the name of the company, or SYMBOL@EXCHANGE."


async def _search(context: ToolContext, query: str, kind: str | None) -> list[dict[str, Any]]:
    """By symbol; where none fits, by name; then by the words of the name, those with most of them first."""
    only = kind if kind in ("STK", "IND", "FUT", "OPT") else None
    rows = await lookups.matches(context.guard, symbol=query.upper(), secType=only)
    rows = rows or await lookups.matches(context.guard, symbol=query, name=True, secType=only)
    words = [word for word in query.upper().split() if len(word) > 2]
    if rows or len(words) < 2:
        return rows
    found: dict[int, dict[str, Any]] = {}
    for word in sorted(words, key=len, reverse=True)[:_MOST_WORDS]:
        for row in await lookups.matches(context.guard, symbol=word, name=True, secType=only):
            found.setdefault(int(row["conid"]), row)
    shared = {conid: _shared(words, str(row.get("companyName") or "")) for conid, row in found.items()}
    return sorted((row for conid, row in found.items() if shared[conid]), key=lambda row: -shared[int(row["conid"])])


def _shared(words: list[str], name: str) -> int:
    """How many of the words begin one of the name."""
    return sum(any(part.startswith(word[:5]) for part in name.upper().split()) for word in words)


async def _listed(context: ToolContext, query: str) -> list[Contract]:
    """From the portal's list of stocks, which needs no brokerage session."""
    symbol = query.upper()
    listed = await lookups.stocks(context.guard, [symbol])
    known = await context.contracts.known(listing.conid for listing in listed.get(symbol, []))
    return list(known.values())


def _row(found: dict[str, Any], contract: Contract | None) -> tuple[Any, ...]:
    """From the description, or from what the search itself tells."""
    if contract is None:
        name = untrusted(found.get("companyName"), 80)
        return found["symbol"], int(found["conid"]), None, found.get("description"), None, name, _derivatives(found)
    about = (contract.symbol, contract.conid, contract.kind, contract.exchange, contract.currency, contract.name)
    return *about, _derivatives(found)


def _derivatives(row: dict[str, Any]) -> str | None:
    """What is traded on it: OPT, FUT, ..."""
    sections = objects(row.get("sections"))
    kinds = (str(section.get("secType")) for section in sections if section.get("months") or section.get("conid"))
    return " ".join(dict.fromkeys(kinds)) or None


@read_tool("Contract")
async def get_contract_details(
    context: ToolContext,
    symbol: Symbol,
    rules: bool = False,
    hours: Annotated[bool, Field(description="open now? symbol may be an exchange: TSEJ, XETRA, CME, FX")] = False,
) -> Answer:
    """Describe one instrument; rules: what orders it takes; hours: when it trades, by day and now."""
    if hours and not rules and (traded := exchanges.instrument_of(symbol)):
        contract = await context.contracts.resolve(traded)
        return {"exchange": symbol.strip().upper(), "by": contract.symbol, **await _hours(context, contract)}
    contract = await context.contracts.resolve(symbol)
    answer = await _description(context, contract)
    extras = []
    if rules:
        extras.append(_rules(context, contract.conid))
    if hours:
        extras.append(_hours(context, contract))
    for extra in await gather(extras):
        answer |= extra
    return answer


async def _description(context: ToolContext, contract: Contract) -> Answer:
    row = next(iter(await lookups.definitions(context.guard, [contract.conid])), {})
    unit = (await context.contracts.units.of([contract])).get(contract.conid)
    told = {
        "symbol": contract.symbol,
        "conid": contract.conid,
        "class": contract.kind,
        "name": contract.name,
        "description": contract.text if contract.text not in (contract.name, contract.root) else None,
        "exchange": contract.exchange,
        "currency": contract.currency,
        "price_unit": unit,
        "multiplier": plain(contract.multiplier),
        "trading_class": contract.trading_class or None,
        "contract_month": iso_date(contract.month or None),
        "underlying": await _underlying(context, contract),
        "also": list(contract.also) or None,
        **{name: _shown(name, row[key]) for name, key in _INFO.items() if row.get(key) not in (None, "", 0, "0", 0.0)},
    }
    return {name: value for name, value in told.items() if value is not None}


async def _underlying(context: ToolContext, contract: Contract) -> str | None:
    if not contract.underlying:
        return None
    known = await context.contracts.known([contract.underlying])
    return known[contract.underlying].symbol if contract.underlying in known else None


def _shown(name: str, value: Any) -> Any:
    return iso_date(value) if name in ("expiry", "last_trading_day") else figure(value)


async def _rules(context: ToolContext, conid: int) -> Answer:
    body = (await context.guard.call("get_contract_rules", body={"conid": conid, "isBuy": True})).object
    return {"rules": {name: body[key] for name, key in _RULES.items() if pick(body, key) is not None}}


async def _hours(context: ToolContext, contract: Contract) -> Answer:
    """Whether it is traded now, what comes next, and the six days around today that IBKR tells."""
    schedule = await context.contracts.sessions.of(contract)
    if schedule is None:
        raise InvalidRequest(f"IBKR tells no trading hours of {contract.symbol}.", action="Ask for another instrument.")
    now = context.wall()
    return {
        "now": iso(now),
        "time_zone": schedule.zone.key,
        "open_now": schedule.is_open(now),
        "open_now_extended": schedule.is_open(now, extended=True),
        "next_open": iso(schedule.next_open(now)),
        "next_close": iso(schedule.next_close(now)),
        "hours": compact(_HOURS, _days(schedule)),
    }


def _days(schedule: Schedule) -> list[tuple[Any, ...]]:
    """A row for each stretch of regular hours; extended hours only where they are longer."""
    early = schedule.early_closes()
    rows = []
    for window in schedule.regular:
        around = [each for each in schedule.extended if each.opens <= window.opens and each.closes >= window.closes]
        opens, closes = (around[0].opens, around[0].closes) if around else (window.opens, window.closes)
        is_longer = (opens, closes) != (window.opens, window.closes)
        extended = (iso(opens), iso(closes)) if is_longer else (None, None)
        is_early = True if window.day in early else None
        rows.append((window.day.isoformat(), iso(window.opens), iso(window.closes), *extended, is_early))
    return rows
