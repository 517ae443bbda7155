"""Prices of the past, as bars or as a picture of them; of several instruments their closes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
from fastmcp.tools.base import ToolResult
from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal, plain
from ib_mcp.formats.tables import compact, table
from ib_mcp.formats.times import iso
from ib_mcp.gather import gather
from ib_mcp.market import bars, chart, periods
from ib_mcp.market.bars import Bar, Bars
from ib_mcp.market.contract import Contract
from ib_mcp.market.periods import Span
from ib_mcp.market.sessions import Schedule
from ib_mcp.tools.arguments import Symbols
from ib_mcp.tools.base import Answer, read_tool, with_picture
from ib_mcp.tools.held_contract import held_instead
from ib_mcp.tools.prices import unknown
from ibkr.errors import IbError, UpstreamError

Source = Literal["trades", "midpoint", "bid_ask"]
_MOST_SYMBOLS = 20
_MOST_NAMES = 10
_FIRST_DAYS = "the first day of each bar"
_SUMMARY = (
    "symbol",
    "conid",
    "name",
    "class",
    "exchange",
    "currency",
    "unit",
    "from",
    "to",
    "first",
    "last",
    "change_percent",
    "high",
    "low",
    "timing",
)


@dataclass(frozen=True, slots=True)
class History:
    """Bars of one instrument, as far as they were meant; ``size`` is that of a bar."""

    contract: Contract
    size: str
    found: Bars
    schedule: Schedule | None
    age_ms: int
    unit: str | None
    is_whole: bool

    @property
    def bars(self) -> list[Bar]:
        return self.found.bars

    def when(self, bar: Bar) -> str | None:
        return bars.when(bar, self.size, self.schedule)

    def times(self, found: Sequence[Bar]) -> list[str | None]:
        return bars.times(found, self.size, self.schedule)


@read_tool("Market Data")
async def get_price_history(
    context: ToolContext,
    symbol: Annotated[Symbols, Field(min_length=1, max_length=_MOST_SYMBOLS)],
    period: Annotated[str, Field(description="30min, 8h, 5d, 2w, 3m (months), 1y, YTD")] = "1m",
    bar: Annotated[str | None, Field(description="1min 5min 1h 1d 1w 1m ...")] = None,
    end: Annotated[str | None, Field(description="date (with all of it) or ISO time; or 'more'")] = None,
    outside_hours: bool = False,
    source: Source = "trades",
    limit: Annotated[int, Field(ge=1, le=1000)] = 300,
    chart: Annotated[bool, Field(description="a picture instead of rows")] = False,
) -> Answer | ToolResult:
    """Bars of the past, oldest first; of several symbols the closes and what they changed."""
    span = periods.choose(period, bar, datetime.fromtimestamp(context.wall(), UTC).date())
    found, refused = await context.contracts.resolve_each(symbol)
    if not found:
        raise next(iter(refused.values()))
    asked = _Question(context, span, bar is not None, end, outside_hours, source)
    contracts = list({contract.conidex: contract for contract in found.values()}.values())
    held = held_instead(context, found)
    if len(contracts) == 1 and not refused:
        return await _one(asked, contracts[0], period, limit, chart, held)
    return await _several(asked, contracts, period, limit, chart, refused, held)


@dataclass(frozen=True, slots=True)
class _Question:
    context: ToolContext
    span: Span
    has_bar: bool
    end: str | None
    outside_hours: bool
    source: Source

    async def load(self, contract: Contract) -> History:
        size = self.span.bar
        if contract.is_option and not self.has_bar:
            size = periods.intraday(self.span)
        schedule = await self._schedule(contract, size)
        end = bars.parse_end(self.end, schedule) if self.end else None
        query = {
            "conid": contract.conid,
            "exchange": contract.asked_exchange,
            "period": self.span.period,
            "bar": size,
            "outsideRth": self.outside_hours,
            "source": None if self.source == "trades" else self.source,
            "startTime": end.text if end else None,
        }
        try:
            reply = await self.context.guard.call("get_price_history", query=query)
        except UpstreamError as error:
            if contract.is_option and not periods.is_intraday(size):
                raise UpstreamError(
                    error.message,
                    status=error.status,
                    action="IBKR keeps no bars of a day or more of options: ask for bar 8h or less, period up to 1y.",
                ) from error
            raise
        answered = bars.parse(reply.object)
        unit = (await self.context.contracts.units.of([contract])).get(contract.conid)
        kept = self._meant(answered.bars, schedule, end)
        is_whole = len(answered.bars) < bars.MOST_BARS
        return History(contract, size, replace(answered, bars=kept), schedule, reply.age_ms, unit, is_whole)

    async def _schedule(self, contract: Contract, size: str) -> Schedule | None:
        """For the exchange's dates; without it they are UTC's."""
        if periods.is_intraday(size) and not self.end:
            return None
        try:
            return await self.context.contracts.sessions.of(contract)
        except IbError:
            return None

    def _meant(self, found: Sequence[Bar], schedule: Schedule | None, end: bars.End | None) -> list[Bar]:
        kept = list(found)
        if schedule is not None and end is not None and end.day is not None:
            later = schedule.opens_after(end.day)
            kept = [each for each in kept if each.start < later]
        since = self.span.since
        if since is not None:
            midnight = datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp()
            first = schedule.opens_after(since - timedelta(days=1)) if schedule else midnight
            kept = [each for each in kept if each.start >= first]
        return kept[-self.span.newest :] if self.span.newest else kept

    def is_unfinished(self, history: History) -> bool:
        return bool(history.bars) and bars.is_unfinished(
            history.bars[-1],
            history.size,
            history.schedule,
            now=self.context.wall(),
            timing=history.found.timing,
            extended=self.outside_hours,
        )


async def _one(
    asked: _Question, contract: Contract, period: str, limit: int, picture: bool, held: Answer
) -> Answer | ToolResult:
    history = await asked.load(contract)
    shown = history.bars if picture else history.bars[-limit:]
    answer = _about(asked, history, period) | held
    columns = ("time" if periods.is_intraday(history.size) or history.schedule is None else "date",)
    prices = bars.BID_ASK if asked.source == "bid_ask" else bars.PRICES
    if not history.bars:
        return answer | {"bars": table((*columns, *prices), []), "note": "IBKR has no bars for this time."}
    omitted = len(history.bars) - len(shown)
    if omitted:
        answer["omitted"] = f"{omitted} older bars of the period; 'more' as end has them"
    elif not history.is_whole:
        answer["omitted"] = f"what is older: IBKR gives {bars.MOST_BARS} bars at most; 'more' as end has them"
    if not picture:
        has_more = bool(omitted) or not history.is_whole
        rows = [(time, *each[1:]) for time, each in zip(history.times(shown), shown, strict=True)]
        return answer | {
            "bars": table((*columns, *prices), rows, more=iso(shown[0].start) if has_more else None),
        }
    high, low = bars.extremes(shown)
    answer |= {"bars": len(shown), "high": high, "low": low}
    answer |= {"first_open": shown[0].open, "last_close": shown[-1].close}
    about = f"{contract.symbol}  {contract.name}  {history.unit or contract.currency}"
    title = f"{about}  {history.size} bars  {history.when(shown[0])} to {history.when(shown[-1])}"
    candles = [
        chart.Candle(_label(time), *each.figures) for time, each in zip(history.times(shown), shown, strict=True)
    ]
    return with_picture(answer, await anyio.to_thread.run_sync(chart.draw, title, candles))


def _about(asked: _Question, history: History, period: str) -> Answer:
    contract, found = history.contract, history.bars
    unfinished = asked.is_unfinished(history)
    told = {
        "symbol": contract.symbol,
        "conid": contract.conid,
        "name": contract.name,
        "class": contract.kind,
        "exchange": contract.exchange,
        "currency": contract.currency,
        "unit": history.unit,
        "multiplier": plain(contract.multiplier) if contract.multiplier not in (None, 1) else None,
        "also": list(contract.also) or None,
        "period": period,
        "bar": history.size,
        "from": history.when(found[0]) if found else None,
        "to": history.when(found[-1]) if found else None,
        "time_zone": _zone(history),
        "hours": "all" if asked.outside_hours else "regular",
        "source": None if asked.source == "trades" else asked.source,
        "adjusted": "for splits, not for dividends" if contract.kind == "STK" else None,
        "volume_in": "lots of unknown size" if history.found.lots else None,
        "timing": history.found.timing,
        "age_ms": history.age_ms,
        "last_bar": "unfinished" if unfinished else None,
        "unreadable": _unreadable(history) or None,
        "dates": _FIRST_DAYS if periods.is_longer_than_a_day(history.size) else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _unreadable(history: History) -> list[str]:
    """The bars that IBKR sent without a time, by the ones before them."""
    return [
        "the first bar" if before is None else f"the bar after {history.when(before)}"
        for before in history.found.unreadable[:_MOST_NAMES]
    ]


def _zone(history: History) -> str:
    """Of the times, or of the exchange whose dates they are."""
    if periods.is_intraday(history.size) or history.schedule is None:
        return "UTC"
    return history.schedule.zone.key


async def _several(
    asked: _Question,
    contracts: Sequence[Contract],
    period: str,
    limit: int,
    picture: bool,
    refused: Mapping[str, IbError],
    held: Answer,
) -> Answer | ToolResult:
    found: dict[str, History] = {}
    problems = dict(refused)

    async def load(contract: Contract) -> None:
        try:
            found[contract.symbol] = await asked.load(contract)
        except IbError as error:
            problems[contract.symbol] = error

    await gather(map(load, contracts))
    histories = [found[contract.symbol] for contract in contracts if contract.symbol in found]
    if not histories:
        raise next(iter(problems.values()))
    closes = {
        history.contract.symbol: dict(
            zip(history.times(history.bars), (each.close for each in history.bars), strict=True)
        )
        for history in histories
    }
    labels = sorted({label for line in closes.values() for label in line if label is not None})
    shown = labels if picture else labels[-limit:]
    answer: Answer = {"period": period, "bar": histories[0].size}
    if len(shown) < len(labels):
        answer["omitted"] = f"{len(labels) - len(shown)} older rows of the period"
    answer["summary"] = compact(_SUMMARY, map(_summary, histories))
    is_coarse = periods.is_longer_than_a_day(histories[0].size)
    answer["change"] = (
        f"{'from the open of the first bar' if is_coarse else 'of the closes'}, in each instrument's own currency; "
        "dividends are not in it"
    )
    if is_coarse:
        answer["dates"] = _FIRST_DAYS
    lost = {one.contract.symbol: names for one in histories if (names := _unreadable(one))}
    if lost:
        answer["unreadable"] = lost
    answer |= unknown(problems) | held
    if any(asked.is_unfinished(history) for history in histories):
        answer["last_bar"] = "unfinished"
    if not picture:
        rows = ([label, *(line.get(label) for line in closes.values())] for label in shown)
        return answer | {"closes": table(("time", *closes), rows)}
    title = f"Change in percent since {shown[0] if shown else '?'}  {histories[0].size} bars  own currencies"
    lines = {name: [line.get(label) for label in shown] for name, line in closes.items()}
    if is_coarse:
        # Else what the first week or month brought would be missing.
        lines = {one.contract.symbol: [_first(one), *lines[one.contract.symbol]] for one in histories}
        shown = [*shown[:1], *shown]
    return with_picture(answer, await anyio.to_thread.run_sync(chart.compare, title, list(map(_label, shown)), lines))


def _summary(history: History) -> tuple[Any, ...]:
    contract, found = history.contract, history.bars
    first = _first(history)
    last = next((each.close for each in reversed(found) if decimal(each.close)), None)
    high, low = bars.extremes(found)
    about = (contract.symbol, contract.conid, contract.name, contract.kind, contract.exchange, contract.currency)
    return (
        *(*about, history.unit),
        *((history.when(found[0]), history.when(found[-1])) if found else (None, None)),
        *(first, last, _change(first, last), high, low, history.found.timing),
    )


def _first(history: History) -> Any:
    """Where the change begins: the first close; of longer bars the first open, since their closes come late."""
    is_coarse = periods.is_longer_than_a_day(history.size)
    prices = (each.open if is_coarse else each.close for each in history.bars)
    return next((price for price in prices if decimal(price)), None)


def _change(first: Any, last: Any) -> Any:
    """In percent, to the hundredth."""
    before, after = decimal(first), decimal(last)
    return None if not before or after is None else plain(round((after / before - 1) * 100, 2) + Decimal(0))


def _label(text: str | None) -> str:
    return (text or "")[:16].replace("T", " ")
