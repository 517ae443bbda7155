"""Quotes now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import plain
from ib_mcp.formats.tables import compact, table
from ib_mcp.market.choices import Choices
from ib_mcp.market.contract import Contract
from ib_mcp.market.quotes import Quote, quotes
from ib_mcp.tools.arguments import Names, Symbols
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.held_contract import held_instead
from ibkr import fields as known_fields
from ibkr.errors import IbError, InvalidRequest

_USUAL = ("last", "bid", "ask", "bid_size", "ask_size", "volume_exact", "change", "change_percent", "prior_close")
_ABOUT = ("symbol", "conid", "name", "class", "exchange", "currency", "unit", "multiplier")
_STATE = ("timing", "age_ms", "updated", "complete")
_MID = {"mid": "mid", "midpoint": "mid", "spread": "spread"}
_MOST_FOUND = 40


@read_tool("Market Data")
async def get_price_snapshot(
    context: ToolContext,
    symbols: Symbols | None = None,
    fields: Annotated[
        Names | None,
        Field(max_length=40, description="last, open, mid, implied_volatility, delta, market_cap, pe_ratio ..."),
    ] = None,
    explain: Annotated[bool, Field(description="meaning and unit of fields")] = False,
    find: Annotated[str | None, Field(max_length=80, description="instead: words, to find fields")] = None,
) -> Answer:
    """Quotes now. timing says live, delayed or frozen; missing says why a field has no value."""
    if find is not None or not symbols:
        return _fields(find or "")
    asked = known_fields.look_up(fields or _USUAL)
    derived = [_MID[name] for name in dict.fromkeys(word.strip().lower() for word in fields or ()) if name in _MID]
    contracts, refused = await context.contracts.resolve_each(symbols)
    if not contracts:
        raise next(iter(refused.values()))
    if not asked.fields:
        raise InvalidRequest(f"No field is called so: {_near(asked.unknown)}.", action="Use find='WORDS' for names.")
    by_name = {contract.conidex: (text, contract) for text, contract in contracts.items()}
    found = await quotes(context.guard, [contract for _, contract in by_name.values()], asked.fields)
    units = await context.contracts.units.of(contract for _, contract in by_name.values())
    names = [field.name for field in asked.fields]
    rows = [
        (
            *_about(quote.contract, units),
            *(quote.timing, quote.age_ms, quote.updated, quote.complete),
            *(quote.shown(name) for name in names),
            *(plain(quote.mid if name == "mid" else quote.spread) for name in derived),
            text if _is_other(text, quote.contract) else None,
        )
        for quote, (text, _) in zip(found, by_name.values(), strict=True)
    ]
    return {
        "prices": compact((*_ABOUT, *_STATE, *names, *derived, "asked"), rows),
        **unknown(refused),
        **({"unknown_fields": asked.unknown} if asked.unknown else {}),
        **remarks(found),
        **also_meant(contracts.values()),
        **held_instead(context, contracts),
        **({"fields": _meanings(asked.fields)} if explain else {}),
    }


def _about(contract: Contract, units: Mapping[int, str | None]) -> tuple[Any, ...]:
    return (
        contract.symbol,
        contract.conid,
        contract.name,
        contract.kind,
        contract.exchange,
        contract.currency,
        units.get(contract.conid),
        plain(contract.multiplier) if contract.multiplier not in (None, 1) else None,
    )


def _is_other(text: str, contract: Contract) -> bool:
    """Whether a reader could not tell by the symbol which of the asked ones this is."""
    return " ".join(text.upper().split()) not in (contract.symbol.upper(), str(contract.conid))


def unknown(refused: Mapping[str, IbError]) -> Answer:
    """What of several names could not be found, and the choices near it."""
    if not refused:
        return {}
    return {
        "unknown": {
            text[:60]: {
                "why": error.message,
                **({"action": error.action} if error.action else {}),
                **_choices(error),
            }
            for text, error in refused.items()
        }
    }


def _choices(error: IbError) -> Answer:
    found = error.choices if isinstance(error, Choices) else []
    return {"choices": [choice.symbol for choice in found]} if found else {}


def remarks(found: Sequence[Quote]) -> Answer:
    """Why fields are missing, by reason, and what qualifies other values."""
    distinct = {quote.contract.conidex: quote for quote in found}.values()
    fields: dict[tuple[str, str], list[str]] = {}
    notes: dict[str, dict[str, str]] = {}
    for quote in distinct:
        reasons: dict[str, list[str]] = {}
        for name, reason in quote.missing.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            fields.setdefault((reason, ", ".join(names)), []).append(quote.contract.symbol)
        if quote.notes:
            notes[quote.contract.symbol] = quote.notes
    missing = [
        {"fields": names, "of": "all" if len(of) == len(distinct) > 1 else ", ".join(of), "why": reason}
        for (reason, names), of in fields.items()
    ]
    return {**({"missing": missing} if missing else {}), **({"notes": notes} if notes else {})}


def also_meant(contracts: Iterable[Contract]) -> Answer:
    """Other instruments of the same letters, where one was chosen."""
    found = {contract.symbol: list(contract.also) for contract in contracts if contract.also}
    return {"also": found} if found else {}


def _fields(words: str) -> Answer:
    """Names of fields by words of their meaning."""
    found = known_fields.search(words)
    if not found:
        raise InvalidRequest(
            "Neither symbols nor words that a field has were given." if not words else f"No field has {words[:40]!r}.",
            action="Give symbols for quotes, or find with words such as yield, volume, earnings, short, delta.",
        )
    return {"fields": table(("name", "kind", "meaning"), ((f.name, f.kind, f.meaning) for f in found[:_MOST_FOUND]))}


_KINDS = {
    "price": "in the unit of the instrument's prices",
    "money": "in the instrument's currency",
    "percent": "in percent",
    "size": "a number of units",
}


def _meanings(fields: Sequence[known_fields.Field]) -> dict[str, str]:
    return {
        field.name: f"{field.meaning}{f' ({_KINDS[field.kind]})' if field.kind in _KINDS else ''}" for field in fields
    }


def _near(names: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} (perhaps {' or '.join(near)})" if near else name for name, near in names.items())
