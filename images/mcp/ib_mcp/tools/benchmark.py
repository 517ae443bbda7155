"""An instrument to compare the performance of an account with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal
from ib_mcp.market import bars
from ib_mcp.market.contract import Contract
from ib_mcp.market.sessions import Schedule
from ib_mcp.portfolio import returns
from ib_mcp.portfolio.returns import Series
from ib_mcp.tools.base import Answer
from ibkr.errors import IbError

# A little more than the year that IBKR tells at most: the price before the first day is needed too.
_PERIOD, _BAR = "13m", "1d"
_UTC_DAYS = " IBKR told no trading hours of it: its days are those of UTC, so it may be a day off."


@dataclass(frozen=True, slots=True)
class Benchmark:
    """``about`` for the answer: its return over the same days, or why there is none; ``closes`` by the day."""

    about: Answer
    closes: dict[str, Decimal]

    @property
    def symbol(self) -> str:
        return str(self.about["symbol"])

    def at(self, day: str) -> Decimal | None:
        """The last close until ``day``."""
        known = max((one for one in self.closes if one <= returns.end_of(day)), default=None)
        return None if known is None else self.closes[known]


async def benchmark_of(context: ToolContext, symbol: str, series: Series) -> Benchmark:
    """Over the days of ``series``, in its own currency and without dividends."""
    try:
        contract = await context.contracts.resolve(symbol)
        query = {"conid": contract.conid, "period": _PERIOD, "bar": _BAR}
        body = (await context.guard.call("get_price_history", query=query)).object
    except IbError as error:
        return Benchmark({"symbol": symbol, "missing": error.message}, {})
    schedule = await _schedule(context, contract)
    closes = {
        str(bars.when(each, _BAR, schedule))[:10]: close
        for each in bars.parse(body).bars
        if (close := decimal(each.close)) is not None
    }
    named = {"symbol": contract.symbol, "name": contract.name, "currency": contract.currency}
    found = returns.compared(series, closes)
    if found is None:
        return Benchmark(named | {"missing": "IBKR has no prices of it for these days."}, closes)
    change, first, last = found
    about = named | {
        "return": returns.share(change),
        "from": first,
        "to": last,
        "account_return_less_benchmark": returns.share(series.points[-1].total - change),
        "note": f"Price only, without dividends, in its own currency.{'' if schedule else _UTC_DAYS}",
    }
    return Benchmark(about, closes)


async def _schedule(context: ToolContext, contract: Contract) -> Schedule | None:
    """For the exchange's dates; a comparison by the days of UTC is better than none."""
    try:
        return await context.contracts.sessions.of(contract)
    except IbError:
        return None
