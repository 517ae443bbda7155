"""How an account performed, from IBKR's analyst service, which answers each question once in 15 minutes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import anyio
from fastmcp.tools.base import ToolResult
from pydantic import BeforeValidator, Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import pick, table
from ib_mcp.market.chart import compare
from ib_mcp.portfolio import returns
from ib_mcp.portfolio.returns import Series, Step
from ib_mcp.tools.arguments import Account, Text
from ib_mcp.tools.base import Answer, read_tool, with_picture
from ib_mcp.tools.benchmark import Benchmark, benchmark_of
from ibkr.errors import InvalidRequest, UpstreamError

_METHODS = {"TWR": "time-weighted", "MWR": "money-weighted"}
# Those of IBKR's that others are cut out of, the finest first.
_LONG = ("YTD", "1Y")
_MEANING = (
    "return is a share of 1 (0.01 is 1 %). net_asset_value holds deposits and withdrawals: compute no return from it."
)


def _upper(value: Any) -> Any:
    return {"12M": "1Y"}.get(value.upper(), value.upper()) if isinstance(value, str) else value


Period = Annotated[Literal["1D", "7D", "MTD", "1M", "3M", "6M", "YTD", "1Y"], BeforeValidator(_upper)]


@read_tool("Portfolio Analyst")
async def get_account_performance(
    context: ToolContext,
    account: Account = None,
    period: Period = "1M",
    start: Annotated[str | None, Field(description="date, in place of period")] = None,
    end: str | None = None,
    rows: Step | None = None,
    benchmark: Annotated[Text | None, Field(description="symbol")] = None,
    chart: bool = False,
) -> Answer | ToolResult:
    """Return, best and worst day, drawdown, volatility; rows on request."""
    chosen = await context.accounts.resolve(account)
    # One question for all periods: IBKR would make us wait a quarter of an hour for the second one.
    reply = await context.guard.call("get_performance_all_periods", body={"acctIds": [chosen]})
    body = reply.object
    figures = body.get(chosen) or {}
    series = _series(figures, period, _day(start, "start"), _day(end, "end"))
    method = str(body.get("pm") or "")
    answer: Answer = {
        "account": chosen,
        **({"period": period} if start is None else {}),
        "currency": pick(figures, "baseCurrency") or await context.accounts.currency(chosen),
        "method": _METHODS.get(method, method or "not told by IBKR"),
        "frequency": series.frequency_name,
        **returns.summary(series),
    }
    compared = None if benchmark is None else await benchmark_of(context, benchmark, series)
    if compared is not None:
        answer["benchmark"] = compared.about
    answer |= {"meaning": _MEANING, "updated": pick(figures, "lastSuccessfulUpdate"), "age_ms": reply.age_ms}
    if rows is not None:
        found = returns.rows(series, rows)
        answer["performance"] = table(("date", "net_asset_value", "cumulative_return"), found)
    if chart:
        title = f"{chosen}  {answer['method']} return in {answer['currency']}"
        return with_picture(answer, await anyio.to_thread.run_sync(_picture, title, series, compared))
    return answer


def _picture(title: str, series: Series, compared: Benchmark | None) -> bytes:
    """The growth of the account, and of the benchmark beside it."""
    days = [point.date for point in series.whole]
    lines: dict[str, list[Any]] = {"account": [1 + point.total for point in series.whole]}
    if compared is not None and compared.closes:
        lines[compared.symbol] = [compared.at(day) for day in days]
    return compare(f"{title}  {days[0]} to {days[-1]}", days, lines)


def _day(text: str | None, name: str) -> str | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise InvalidRequest(f"{name} {text[:40]!r} is no date.", action="Write it like 2026-01-31.") from None


def _series(figures: dict[str, Any], period: str, start: str | None, end: str | None) -> Series:
    """What was asked for, cut out of what IBKR told at once; a date wins over the period."""
    known = {name: series for name in figures if (series := returns.parse(figures[name])) is not None}
    if not known:
        raise UpstreamError("IBKR has no performance of this account yet.", action="Ask again tomorrow.")
    if start is None and period in known and end is None:
        return known[period]
    longest = [known[name] for name in _LONG if name in known] or list(known.values())
    for series in sorted(longest, key=lambda one: one.frequency != "D"):
        last = end or series.points[-1].date
        first = start or returns.begin_of(period, last) or (known[period].start.date if period in known else None)
        if (found := returns.part(series, first, end)) is not None:
            return found
    reach = min(series.start.date for series in known.values())
    raise InvalidRequest(
        f"IBKR tells no performance of {f'{start} to {end or today(known)}' if start else period}.",
        action=f"Ask for days from {reach} to {today(known)}, or for a period of {', '.join(known)}.",
    )


def today(known: dict[str, Series]) -> str:
    """The last day that IBKR tells."""
    return max(series.points[-1].date for series in known.values())
