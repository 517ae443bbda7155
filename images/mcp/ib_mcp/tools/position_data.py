"""All positions of an account, and the quotes that questions about them need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anyio

from ib_mcp.context import ToolContext
from ib_mcp.gather import gather
from ib_mcp.portfolio import holding as holdings_of
from ib_mcp.portfolio.holding import Holding, Quoted
from ib_mcp.portfolio.ledger import Ledger
from ibkr import field_values
from ibkr.errors import UpstreamError
from ibkr.fields import BY_NAME, Field

_MOST_CONIDS = 100
# What the quotes of so many may take, the first time.
_BATCH_S = 5.0
# More pages than any account fills: 30 positions a page at the least.
_MOST_PAGES = 200
_AVAILABILITY, _LAST, _DAILY, _DAILY_RAW = (
    BY_NAME[name] for name in ("availability", "last", "daily_pnl", "daily_pnl_raw")
)


@dataclass(frozen=True, slots=True)
class Positions:
    """Open ones. ``unreadable`` names the rows that IBKR sent without what a position needs."""

    holdings: list[Holding]
    unreadable: list[str]
    age_ms: int


async def all_positions(context: ToolContext, account: str, ledger: Ledger, currency: str | None) -> Positions:
    """Every page is read: pages hold 100 rows, 30 or another number, and only an empty one is the last."""
    found: dict[tuple[Any, Any], Holding] = {}
    unreadable: list[str] = []
    age = number = 0
    while number < _MOST_PAGES:
        # Two at once, since the second one usually only says that there is no more.
        replies = await gather(
            context.guard.call("list_positions", path={"accountId": account, "pageId": page})
            for page in (number, number + 1)
        )
        for reply in replies:
            age = max(age, reply.age_ms)
            if not isinstance(reply.body or [], list):
                raise UpstreamError("IBKR answered with something else than positions.")
            known = len(found) + len(unreadable)
            for row in reply.body or []:
                try:
                    one = holdings_of.parse(row, ledger, currency)
                except (ValueError, AttributeError):
                    if (name := _called(row)) not in unreadable:
                        unreadable.append(name)
                    continue
                found.setdefault((one.conid, one.model), one)
            if not reply.body or len(found) + len(unreadable) == known:
                # A closed position stays in the list for the day.
                held = await _named(context, found.values())
                context.last_seen.note(account, held)
                return Positions(held, unreadable, age)
        number += 2
    raise UpstreamError("IBKR's list of positions has no end.")


async def _named(context: ToolContext, holdings: Iterable[Holding]) -> list[Holding]:
    """Those that are open, by the names that lead back to them."""
    held = [one for one in holdings if one.position]
    contracts = await context.contracts.named({one.conid: one.description for one in held})
    return [one.called(contracts.get(str(one.conid))) for one in held]


def _called(row: Any) -> str:
    if not isinstance(row, dict):
        return f"a row without contents ({str(row)[:20]})"
    return str(row.get("contractDesc") or row.get("ticker") or row.get("conid") or "a row without a name")[:60]


async def with_quotes(context: ToolContext, holdings: Sequence[Holding]) -> list[Holding]:
    """With the day's profit, and the price of the underlying of options."""
    underlyings = {one.underlying for one in holdings if one.right and one.underlying}
    rows = await snapshot(
        context,
        [*(one.conid for one in holdings), *underlyings],
        (_AVAILABILITY, _LAST, _DAILY, _DAILY_RAW),
    )
    return [one.with_quote(_quoted(rows.get(one.conid, {}), rows.get(one.underlying))) for one in holdings]


async def snapshot(context: ToolContext, conids: Iterable[int], fields: Sequence[Field]) -> dict[int, dict[str, Any]]:
    """IBKR's rows by conid; those are missing for which the time of the call does not suffice."""
    asked = list(dict.fromkeys(conids))
    numbers = ",".join(field.number for field in fields)
    rows: dict[int, dict[str, Any]] = {}
    # One after another: together they would take more market-data lines than IBKR has, and each would end the other's.
    for start in range(0, len(asked), _MOST_CONIDS):
        if start and anyio.current_effective_deadline() - anyio.current_time() < _BATCH_S:
            break
        part = ",".join(map(str, asked[start : start + _MOST_CONIDS]))
        reply = await context.guard.call("get_price_snapshot", query={"conids": part, "fields": numbers})
        rows |= {int(row["conid"]): row for row in reply.rows if str(row.get("conid", "")).isdecimal()}
    return rows


def figure_of(row: dict[str, Any] | None, field: Field) -> Decimal | None:
    value = field_values.parse(field, (row or {}).get(field.number)).value
    return value if isinstance(value, Decimal) else None


def timing_of(row: dict[str, Any]) -> str:
    return field_values.availability(str(row.get(_AVAILABILITY.number) or "")).timing


def _quoted(own: dict[str, Any], underlying: dict[str, Any] | None) -> Quoted:
    daily = figure_of(own, _DAILY_RAW)
    daily = figure_of(own, _DAILY) if daily is None else daily
    price = figure_of(underlying, _LAST)
    if price is None or underlying is None:
        return Quoted(daily)
    last = field_values.parse(_LAST, underlying.get(_LAST.number))
    timing = "previous_close" if last.note == "previous_close" else timing_of(underlying)
    return Quoted(daily, price, timing)
