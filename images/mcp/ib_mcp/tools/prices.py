"""Quotes now."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import table
from ib_mcp.market.quotes import Quote, quotes
from ib_mcp.tools.arguments import Names, Symbols
from ib_mcp.tools.base import Answer, read_tool
from ibkr import fields as known_fields

_USUAL = ("last", "bid", "ask", "bid_size", "ask_size", "volume_exact", "change", "change_percent", "prior_close")
_ABOUT = ("symbol", "conid", "currency", "timing", "age_ms", "updated", "complete")


@read_tool("Market Data")
async def get_price_snapshot(
    context: ToolContext,
    symbols: Symbols,
    fields: Annotated[
        Names | None,
        Field(max_length=40, description="names such as last, open, implied_volatility, delta, market_cap"),
    ] = None,
) -> Answer:
    """Quotes now. timing says live, delayed or frozen; missing says why a field has no value."""
    wanted = known_fields.find(fields or _USUAL)
    contracts = await context.contracts.resolve_all(list(dict.fromkeys(symbols)))
    found = await quotes(context.guard, contracts, wanted)
    columns = (*_ABOUT, *(field.name for field in wanted))
    return {
        "prices": table(columns, ((*_about(quote), *(quote.shown(field.name) for field in wanted)) for quote in found)),
        **remarks(found),
    }


def _about(quote: Quote) -> tuple[Any, ...]:
    contract = quote.contract
    return (
        contract.symbol,
        contract.conid,
        contract.currency,
        quote.timing,
        quote.age_ms,
        quote.updated,
        quote.complete,
    )


def remarks(found: list[Quote]) -> Answer:
    """Why fields are missing (by reason, instrument and field) and what qualifies others.

    Instruments go by their symbol, and by their conid (on its exchange) where several have the same.
    """
    missing: dict[str, dict[str, list[str]]] = {}
    notes: dict[str, dict[str, str]] = {}
    distinct = {quote.contract.conidex: quote for quote in found}.values()
    symbols = Counter(quote.contract.symbol for quote in distinct)
    for quote in distinct:
        contract = quote.contract
        called = contract.symbol if symbols[contract.symbol] == 1 else contract.conidex
        for name, reason in quote.missing.items():
            missing.setdefault(reason, {}).setdefault(called, []).append(name)
        if quote.notes:
            notes[called] = quote.notes
    return {**({"missing": missing} if missing else {}), **({"notes": notes} if notes else {})}
