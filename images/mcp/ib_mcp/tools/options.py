"""Option chains, within a budget of questions to IBKR: it tells the options of one strike and right at a time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal, plain
from ib_mcp.formats.tables import table
from ib_mcp.formats.times import iso_date
from ib_mcp.gather import gather
from ib_mcp.market import option_lookups
from ib_mcp.market.contract import Contract
from ib_mcp.market.derivative_notation import undashed
from ib_mcp.market.notation import month_code, month_of
from ib_mcp.market.option_lookups import OptionMarket
from ib_mcp.market.quotes import quotes
from ib_mcp.tools.arguments import Symbol, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.prices import remarks
from ibkr import fields as known_fields
from ibkr.errors import IbError, InvalidRequest, UpstreamTimeout

_MOST_QUESTIONS = 24
# Of the time that is left: the quotes come after.
_SHARE_OF_LOOKUPS = 0.6
_GREEKS = (
    "bid",
    "ask",
    "last",
    "implied_volatility",
    "delta",
    "gamma",
    "theta",
    "vega",
    "option_open_interest",
    "volume",
)
_OPTION = ("expiry", "strike", "right", "conid", "timing", "complete", *_GREEKS)


@read_tool("Options Chains")
async def get_option_chain(
    context: ToolContext,
    symbol: Symbol,
    expiry: Annotated[
        Text | None,
        Field(pattern=r"^20\d{2}-?\d{2}(-?\d{2})?$", description="YYYYMM or YYYYMMDD, else the nearest month"),
    ] = None,
    right: Literal["C", "P"] | None = None,
    strikes: Annotated[int, Field(ge=1, le=24, description="how many around the money")] = 6,
    greeks: Annotated[bool, Field(description="conids, quotes and greeks of one expiry; takes seconds")] = False,
) -> Answer:
    """Months, expiries and strikes of options."""
    underlying = await _underlying(context, symbol)
    market = await option_lookups.option_market(context.guard, underlying.conid, underlying.root)
    expiry = undashed(expiry) if expiry else None
    month = _month(market, expiry, underlying.symbol)
    listed = await option_lookups.strikes(context.guard, market, month)
    price = await _price(context, underlying)
    answer: Answer = {
        "symbol": underlying.symbol,
        "conid": underlying.conid,
        "price": plain(price),
        "months": [month_of(code) for code in market.months],
        "month": month_of(month),
    }
    if not listed:
        return answer | {"strikes": [], "note": "IBKR lists no strikes for this month."}
    sides = [right] if right else ["C", "P"]
    near = nearest(listed, price, min(strikes, _MOST_QUESTIONS // len(sides)) if greeks else strikes)
    # One strike and side are enough to know the expiries of the month.
    asked = (near, sides) if greeks else (near[len(near) // 2 :][:1], sides[:1])
    rows, reason = await _contracts(context, underlying, market, month, *asked)
    expiries = sorted({str(row.get("maturityDate")) for row in rows})
    answer |= {"expiries": [iso_date(day) for day in expiries]}
    fitting = [day for day in expiries if day.startswith(expiry or "")]
    if not greeks:
        # A weekly expiry may lack the strike that was looked at.
        unseen = {} if fitting or not rows else {"note": f"No option seen that expires on {expiry}; see expiries."}
        return answer | {"strikes": [plain(each) for each in near], "strikes_listed": len(listed)} | unseen | reason
    if not fitting and rows:
        raise InvalidRequest(f"No option expires on {expiry}.", action=f"Choose of {', '.join(expiries)}.")
    return (
        answer | await _quoted(context, [row for row in rows if str(row.get("maturityDate")) in fitting[:1]]) | reason
    )


async def _underlying(context: ToolContext, symbol: str) -> Contract:
    """The instrument whose options are meant; those on futures belong to the future's index."""
    contract = await context.contracts.resolve(symbol)
    if contract.kind == "FUT" and contract.underlying:
        return (await context.contracts.describe([contract.underlying]))[contract.underlying]
    return contract


def _month(market: OptionMarket, expiry: str | None, symbol: str) -> str:
    if expiry is None:
        return market.months[0]
    month = month_code(expiry)
    if month not in market.months:
        known = ", ".join(month_of(code) for code in market.months)
        raise InvalidRequest(f"{symbol} has no options of {expiry}.", action=f"Choose expiry of {known}.")
    return month


def nearest(strikes: Sequence[Decimal], price: Decimal | None, count: int) -> list[Decimal]:
    """The ``count`` strikes around ``price`` in order; around the middle of the list without a price."""
    middle = strikes[len(strikes) // 2] if price is None else price
    return sorted(sorted(strikes, key=lambda strike: (abs(strike - middle), strike))[:count])


async def _price(context: ToolContext, underlying: Contract) -> Decimal | None:
    """The last price, or None where there is none; the chain is of use without it."""
    try:
        (quote,) = await quotes(context.guard, [underlying], known_fields.find(["last", "prior_close"]))
    except IbError:
        return None
    value = quote.values.get("last") or quote.values.get("prior_close")
    return value if isinstance(value, Decimal) else None


async def _contracts(
    context: ToolContext,
    underlying: Contract,
    market: OptionMarket,
    month: str,
    strikes: Sequence[Decimal],
    sides: Sequence[str],
) -> tuple[list[dict[str, Any]], Answer]:
    """IBKR's rows of these options in every expiry of the month, and the reason when some are missing."""
    found: list[dict[str, Any]] = []
    reasons: list[IbError] = []

    async def ask(strike: Decimal, side: str) -> None:
        try:
            found.extend(await option_lookups.derivatives(context.guard, market, month, strike, side))
        except IbError as error:
            reasons.append(error)

    left = anyio.current_effective_deadline() - anyio.current_time()
    with anyio.move_on_after(left * _SHARE_OF_LOOKUPS) as scope:
        await gather(ask(strike, side) for strike in strikes for side in sides)
    if scope.cancelled_caught:
        reasons.append(UpstreamTimeout("IBKR took too long to tell them."))
    if reasons and not found:
        raise reasons[0]
    return found, {"complete": False, "note": f"Some options are missing. {reasons[0].message}"} if reasons else {}


async def _quoted(context: ToolContext, rows: Sequence[dict[str, Any]]) -> Answer:
    """Quotes and greeks of options of one expiry."""
    known = await context.contracts.describe(int(row["conid"]) for row in rows)
    found = await quotes(context.guard, list(known.values()), known_fields.find(_GREEKS))
    by_conid = {quote.contract.conid: quote for quote in found}

    def row(option: dict[str, Any]) -> list[Any]:
        quote = by_conid[int(option["conid"])]
        strike, right = plain(decimal(option.get("strike"))), str(option.get("right") or "")[:1]
        about = [
            iso_date(option.get("maturityDate")),
            strike,
            right,
            int(option["conid"]),
            quote.timing,
            quote.complete,
        ]
        return [*about, *(quote.shown(name) for name in _GREEKS)]

    ordered = sorted(rows, key=lambda option: (decimal(option.get("strike")) or 0, str(option.get("right"))))
    return {"options": table(_OPTION, map(row, ordered)), **remarks(found)}
