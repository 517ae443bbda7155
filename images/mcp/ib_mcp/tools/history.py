"""Prices of the past, as bars or as a picture of them."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import anyio
import mcp_types
from fastmcp.tools.base import ToolResult
from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import table
from ib_mcp.market import bars
from ib_mcp.market.chart import draw
from ib_mcp.tools.arguments import Limit, Symbol
from ib_mcp.tools.base import Answer, read_tool, result
from ibkr.errors import UpstreamError

_OPTIONS = ("OPT", "FOP", "WAR")


@read_tool("Market Data")
async def get_price_history(
    context: ToolContext,
    symbol: Symbol,
    period: Annotated[str, Field(description="30min, 8h, 5d, 2w, 3m (months), 1y")] = "1m",
    bar: Annotated[str | None, Field(description="1min 5min 1h 1d 1w 1m ...")] = None,
    end: Annotated[str | None, Field(description="ISO time; also 'more' of the last answer")] = None,
    outside_hours: bool = False,
    source: Literal["trades", "midpoint", "bid_ask"] = "trades",
    limit: Limit = 200,
    chart: Annotated[bool, Field(description="a picture instead of rows")] = False,
) -> Answer | ToolResult:
    """Bars of the past, oldest first."""
    period, size = bars.choose(period.strip().lower(), bar)
    contract = await context.contracts.resolve(symbol)
    is_option = contract.kind in _OPTIONS
    if is_option and bar is None:
        size = bars.intraday(period, size)
    query = {
        "conid": contract.conid,
        "exchange": contract.asked_exchange,
        "period": period,
        "bar": size,
        "outsideRth": outside_hours,
        "source": None if source == "trades" else source,
        "startTime": bars.end_text(end) if end else None,
    }
    try:
        reply = await context.guard.call("get_price_history", query=query)
    except UpstreamError as error:
        if is_option and not bars.is_intraday(size):
            error.action = "IBKR keeps no bars of a day or more of options: ask for bar 8h or less, period up to 1y."
        raise
    history = bars.parse(reply.object)
    rows = history.bars[-limit:]
    answer: Answer = {
        "symbol": contract.symbol,
        "conid": contract.conid,
        "currency": contract.currency,
        "period": period,
        "bar": size,
        "timing": history.timing,
        "age_ms": reply.age_ms,
    }
    if not rows:
        return answer | {"bars": table(bars.COLUMNS, []), "note": "IBKR has no bars for this time."}
    if not chart:
        return answer | {"bars": table(bars.COLUMNS, rows, more=str(rows[0][0]))}
    high, low = bars.extremes(rows)
    answer |= {"from": rows[0][0], "to": rows[-1][0], "bars": len(rows), "high": high, "low": low}
    answer |= {"first_open": rows[0][1], "last_close": rows[-1][4]}
    title = f"{contract.symbol}  {contract.name}  {size} bars, {period}, {contract.currency}"
    picture = await anyio.to_thread.run_sync(draw, title, rows)
    shown = result(answer)
    image = mcp_types.ImageContent(type="image", data=base64.b64encode(picture).decode(), mime_type="image/png")
    return ToolResult(content=[image, *shown.content], structured_content=answer)
