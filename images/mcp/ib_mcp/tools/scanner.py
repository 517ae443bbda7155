"""Market scanners."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.tables import compact, pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.market import scans
from ib_mcp.market.contract import Contract
from ib_mcp.market.quotes import Quote, quotes
from ib_mcp.market.scans import Code
from ib_mcp.tools.arguments import Text
from ib_mcp.tools.base import Answer, read_tool
from ibkr import fields as known_fields
from ibkr.errors import IbError, InvalidRequest, UpstreamError

_MOST_CODES = 40
_COLUMNS = ("symbol", "conid", "name", "exchange", "class", "currency", "last", "change_percent", "timing")
_QUOTED = ("last", "change_percent")


@read_tool("Scanner")
async def run_scanner(
    context: ToolContext,
    type: Annotated[
        str, Field(description="scan code: TOP_PERC_GAIN, TOP_PERC_LOSE, MOST_ACTIVE, HOT_BY_VOLUME ...")
    ] = "TOP_PERC_GAIN",
    location: str = "STK.US.MAJOR",
    instrument: str = "STK",
    filters: Annotated[dict[str, Text] | None, Field(description='code to value, e.g. {"priceAbove": "5"}')] = None,
    limit: Annotated[int, Field(ge=1, le=50)] = 20,
    find: Annotated[str | None, Field(description="instead: words, to find codes of all these")] = None,
) -> Answer:
    """Screen a market for a ranking, best first, with last price and change."""
    if find is not None:
        return await _codes(context, find)
    question = {
        "instrument": instrument,
        "type": type,
        "location": location,
        "filter": [{"code": code, "value": value} for code, value in (filters or {}).items()],
    }
    try:
        body = (await context.guard.call("run_scanner", body=question)).object
    except UpstreamError as error:
        raise await _refusal(context, error, type, instrument, location, filters) from error
    found = [row for row in (body.get("contracts") or [])[:limit] if _conid(row)]
    answer: Answer = {"type": type, "location": location}
    if not found:
        return answer | {"contracts": table(_COLUMNS, []), "note": "Nothing passes this scan and its filters now."}
    ranked_by = str(pick(body, "scan_data_column_name") or "") or "value"
    known, quoted, problem = await _described(context, map(_conid, found))
    rows = [_row(row, known, quoted) for row in found]
    return answer | {"contracts": compact((*_COLUMNS, _column(ranked_by)), rows)} | problem


async def _described(
    context: ToolContext, conids: Iterable[int]
) -> tuple[dict[int, Contract], dict[int, Quote], Answer]:
    """Names and quotes of the rows; without them IBKR's own words are left, and the reason."""
    try:
        known = await context.contracts.known(conids)
        found = await quotes(context.guard, list(known.values()), known_fields.find(_QUOTED))
    except IbError as error:
        return {}, {}, {"quotes_missing": error.message}
    return known, {quote.contract.conid: quote for quote in found}, {}


def _column(name: str) -> str:
    """IBKR's name of what is ranked by, apart from the columns that we add."""
    return "ranked_by" if name == "value" else f"ranked_by {untrusted(name, 30)}"


def _conid(row: dict[str, Any]) -> int:
    return int(decimal(pick(row, "con_id", "conid")) or 0)


def _row(row: dict[str, Any], known: dict[int, Contract], quoted: dict[int, Quote]) -> list[Any]:
    conid = _conid(row)
    contract, quote = known.get(conid), quoted.get(conid)
    return [
        contract.symbol if contract else f"{row.get('symbol')} #{conid}",
        conid,
        contract.name if contract else untrusted(row.get("company_name"), 80),
        contract.exchange if contract else pick(row, "listing_exchange", "exchange"),
        contract.kind if contract else pick(row, "sec_type"),
        contract.currency if contract else None,
        *((quote.shown(name) for name in _QUOTED) if quote else (None, None)),
        quote.timing if quote else None,
        pick(row, "scan_data"),
    ]


async def _refusal(
    context: ToolContext, error: UpstreamError, scan: str, instrument: str, location: str, filters: Any
) -> IbError:
    """IBKR's words do not tell a wrong code from anything else; the list of codes does."""
    try:
        codes = scans.parse((await context.guard.call("get_scanner_parameters")).object)
        wrong = scans.problems(codes, scan=scan, instrument=instrument, location=location, filters=filters)
    except IbError:
        wrong = []
    look_up = "find='WORDS' tells the codes that there are."
    if wrong:
        return InvalidRequest(" ".join(wrong), action=f"Correct them; {look_up}")
    return UpstreamError(
        error.message, status=error.status, action=f"Check type, location, instrument and filters: {look_up}"
    )


async def _codes(context: ToolContext, find: str) -> Answer:
    """What scanners can be asked for, by words of the codes and their names."""
    if not find.split():
        raise InvalidRequest("find holds no word.", action="Give words such as gainers, volume, Germany, dividend.")
    found = scans.search(scans.parse((await context.guard.call("get_scanner_parameters")).object), find)
    if not found:
        return {
            "codes": table(("use_as", "code", "name"), []),
            "note": "No code has such a word: try gain, volume, price.",
        }
    rows = ((code.use, code.code, code.name, _instruments(code)) for code in found[:_MOST_CODES])
    return {
        "codes": compact(("use_as", "code", "name", "instruments"), rows, kept=3),
        **({"note": f"{len(found) - _MOST_CODES} more; use more words"} if len(found) > _MOST_CODES else {}),
    }


def _instruments(code: Code) -> str:
    return " ".join(code.instruments)
