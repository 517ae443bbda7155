"""Market scanners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.tools.arguments import Text
from ib_mcp.tools.base import Answer, read_tool
from ibkr.errors import InvalidRequest, UpstreamError

_MOST_CODES = 40
_ROW = ("symbol", "conid", "name", "exchange", "type", "value")


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
    find: Annotated[
        str | None, Field(description="instead of a scan: words to find codes of scans, locations, filters")
    ] = None,
) -> Answer:
    """Screen a market for a ranking, best first."""
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
        # IBKR's words do not tell a wrong code from anything else.
        error.action = "Check type, location, instrument and filters: find='WORDS' tells the codes that there are."
        raise
    found = (
        (
            row.get("symbol"),
            pick(row, "con_id", "conid"),
            untrusted(row.get("company_name"), 80),
            pick(row, "listing_exchange", "exchange"),
            pick(row, "sec_type"),
            pick(row, "scan_data"),
        )
        for row in (body.get("contracts") or [])[:limit]
    )
    return {"type": type, "location": location, "contracts": table(_ROW, found)}


async def _codes(context: ToolContext, find: str) -> Answer:
    """What scanners can be asked for, by words of the codes and their names."""
    words = find.lower().split()
    if not words:
        raise InvalidRequest("find holds no word.", action="Give words such as gainers, volume, Germany, dividend.")
    body = (await context.guard.call("get_scanner_parameters")).object
    found = [row for row in _known(body) if all(word in f"{row[1]} {row[2]}".lower() for word in words)]
    return {
        "codes": table(("use_as", "code", "name", "instruments"), found[:_MOST_CODES]),
        **({"note": f"{len(found) - _MOST_CODES} more; use more words"} if len(found) > _MOST_CODES else {}),
    }


def _known(body: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for row in body.get("scan_type_list") or ():
        yield (
            "type",
            str(row.get("code")),
            str(row.get("display_name")),
            " ".join(map(str, row.get("instruments") or ())),
        )
    for row in body.get("instrument_list") or ():
        yield "instrument", str(row.get("type")), str(row.get("display_name")), ""
    for row in body.get("filter_list") or ():
        yield "filters", str(row.get("code")), str(row.get("display_name")), str(row.get("type") or "")
    yield from _locations(body.get("location_tree") or ())


def _locations(tree: Any) -> Iterator[tuple[str, str, str, str]]:
    for row in tree:
        yield "location", str(row.get("type")), str(row.get("display_name")), ""
        yield from _locations(row.get("locations") or ())
