"""An instrument to compare the performance of an account with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal
from ib_mcp.portfolio import returns
from ib_mcp.portfolio.returns import Series
from ib_mcp.tools.base import Answer
from ibkr.errors import IbError

# IBKR gives a bar of a day the time at which its session opened, in Sydney the evening before in UTC.
_INTO_THE_DAY = timedelta(hours=2)


async def benchmark_of(context: ToolContext, symbol: str, series: Series) -> Answer:
    """Its return over the days of ``series``, in its own currency and without dividends; or why there is none."""
    try:
        contract = await context.contracts.resolve(symbol)
        # A little more than the year that IBKR tells at most: the price before the first day is needed too.
        query = {"conid": contract.conid, "period": "13m", "bar": "1d"}
        body = (await context.guard.call("get_price_history", query=query)).object
    except IbError as error:
        return {"symbol": symbol, "missing": error.message}
    named = {"symbol": contract.symbol, "name": contract.name, "currency": contract.currency}
    found = returns.compared(series, closes(body))
    if found is None:
        return named | {"missing": "IBKR has no prices of it for these days."}
    change, first, last = found
    difference = series.points[-1].total - change
    return named | {
        "return": returns.share(change),
        "from": first,
        "to": last,
        "account_return_less_benchmark": returns.share(difference),
        "note": "Price only, without dividends, in its own currency.",
    }


def closes(body: dict[str, Any]) -> dict[str, Decimal]:
    """Closing prices by day of a body of daily bars."""
    return {
        _day(opened): close
        for bar in body.get("data") or ()
        if isinstance(bar, dict)
        and (opened := decimal(bar.get("t"))) is not None
        and (close := decimal(bar.get("c"))) is not None
    }


def _day(opened: Decimal) -> str:
    moment = datetime.fromtimestamp(float(opened / 1000), UTC) + _INTO_THE_DAY
    return moment.date().isoformat()
