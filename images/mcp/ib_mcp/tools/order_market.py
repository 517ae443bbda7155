"""Prices and hours of what an order is about."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from ib_mcp.context import ToolContext
from ib_mcp.gather import gather
from ib_mcp.market.quotes import Quote, quotes
from ib_mcp.market.sessions import Schedule
from ib_mcp.trading.cautions import Market
from ib_mcp.trading.order import Order
from ibkr.errors import InvalidRequest, UpstreamError, UpstreamTimeout
from ibkr.field_values import Timing
from ibkr.fields import BY_NAME

_FIELDS = tuple(BY_NAME[name] for name in ("bid", "ask", "last"))
# Trouble with one question, not with the session.
_SOFT = (UpstreamError, UpstreamTimeout, InvalidRequest)

T = TypeVar("T")


async def if_told(asked: Awaitable[T]) -> T | None:
    """The answer, or None where IBKR has trouble with this one question."""
    try:
        return await asked
    except _SOFT:
        return None


async def at_once(*asked: Awaitable[Any]) -> list[Any]:
    """The answers to different questions, asked at once."""
    return await gather(asked)


async def market_of(context: ToolContext, order: Order) -> Market:
    """Prices of the instrument, or reckoned of a combination's legs, and its hours."""
    contracts = [leg.contract for leg in order.legs] or [order.contract]
    told, schedule = await at_once(
        if_told(quotes(context.guard, contracts, _FIELDS)), if_told(context.contracts.sessions.of(order.contract))
    )
    found: list[Quote] = told or []
    now = context.wall()
    market = _of_prices(found if order.multiplier is not None else [], [leg.ratio for leg in order.legs])
    days = _days_left([each.expiry for each in contracts], datetime.fromtimestamp(now, UTC).date())
    return replace(_with_hours(market, schedule, now), expires_in_days=days)


def _of_prices(found: Sequence[Quote], ratios: Sequence[int]) -> Market:
    if not found:
        return Market()
    # The first that is not live says how far they can be trusted.
    timing: Timing = next((each.timing for each in found if each.timing != "live"), "live")
    age_s = max(each.age_ms for each in found) / 1000
    if not ratios:
        ratios = [1]
    bid, ask = _total(found, ratios, "bid", "ask"), _total(found, ratios, "ask", "bid")
    updated = min((each.updated for each in found if each.updated), default=None)
    return Market(bid, ask, _total(found, ratios, "last", "last"), timing, age_s, updated)


def _total(found: Sequence[Quote], ratios: Sequence[int], bought: str, sold: str) -> Decimal | None:
    """A leg that is sold counts with its other price; None where one price is missing."""
    total = Decimal(0)
    for quote, ratio in zip(found, ratios, strict=True):
        price = quote.values.get(bought if ratio > 0 else sold)
        if not isinstance(price, Decimal):
            return None
        total += price * ratio
    return total


def _with_hours(market: Market, schedule: Schedule | None, now: float) -> Market:
    if schedule is None:
        return market
    return replace(
        market,
        is_open=schedule.is_open(now),
        is_open_extended=schedule.is_open(now, extended=True),
        next_open=schedule.next_open(now),
    )


def _days_left(expiries: Sequence[str], today: date) -> int | None:
    days = [(date.fromisoformat(each) - today).days for each in expiries if len(each) == 8 and each.isdecimal()]
    return min((each for each in days if each >= 0), default=None)
