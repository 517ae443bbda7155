"""Option chains, within a budget of questions to IBKR: it tells the options of one strike and right at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import plain
from ib_mcp.formats.tables import compact
from ib_mcp.gather import gather
from ib_mcp.market import chains, option_lookups
from ib_mcp.market.chains import Wish
from ib_mcp.market.contract import Contract
from ib_mcp.market.derivative_notation import undashed
from ib_mcp.market.notation import month_of
from ib_mcp.market.option_lookups import OptionMarket
from ib_mcp.market.quotes import Quote, quotes
from ib_mcp.tools.arguments import Symbols, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.held_contract import held_instead
from ib_mcp.tools.prices import remarks, unknown
from ibkr import fields as known_fields
from ibkr.errors import IbError, InvalidRequest, UpstreamError, UpstreamTimeout

_MOST_QUESTIONS = 24
_MOST_SYMBOLS = 5
_AROUND_DELTA = 4
_MOST_EXPIRIES_BY_DELTA = 4
# Of the time that is left: the quotes come after.
_SHARE_OF_LOOKUPS = 0.6
# IBKR needs seconds for it, the first time.
_VOLATILITY = "implied_volatility_underlying"
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
_OPTION = ("strike", "right", "conid", "expiry", "days", "trading_class", "multiplier", "timing", "mid", *_GREEKS)
_BY_DELTA = ("symbol", "conid", "underlying", "price", "days", "timing", "mid", *_GREEKS)

Right = Literal["C", "P"]


@dataclass
class _Chain:
    """What was found of one underlying; ``problems`` are the questions that went unanswered."""

    underlying: Contract
    market: OptionMarket
    price: Decimal | None
    volatility: float | None
    about_price: Answer
    today: date
    now: float
    strikes: dict[str, list[Decimal]] = field(default_factory=dict)
    expiries: dict[date, dict[str, Any]] = field(default_factory=dict)
    problems: list[IbError] = field(default_factory=list)

    def days(self, day: date) -> int:
        return (day - self.today).days


@read_tool("Options Chains")
async def get_option_chain(
    context: ToolContext,
    symbol: Annotated[Symbols, Field(min_length=1, max_length=_MOST_SYMBOLS)],
    expiry: Annotated[
        Text | None,
        Field(pattern=r"^20\d{2}-?\d{2}(-?\d{2})?$", description="YYYYMM or YYYYMMDD, else the nearest"),
    ] = None,
    days: Annotated[Text | None, Field(description="to expiry: 30-45")] = None,
    right: Right | None = None,
    strikes: Annotated[int, Field(ge=1, le=24, description="around the money")] = 6,
    delta: Annotated[float | None, Field(gt=0, lt=1, description="0.3: the nearest per expiry")] = None,
    greeks: Annotated[bool, Field(description="quotes and greeks; takes seconds")] = False,
) -> Answer:
    """Expiries and strikes of options; with delta or greeks their quotes. Several symbols with delta only."""
    wish = Wish(undashed(expiry) if expiry else None, chains.parse_days(days) if days else None)
    if delta is not None:
        return await _by_delta(context, symbol, wish, right or "C", delta)
    if len(symbol) > 1:
        raise InvalidRequest("Several symbols need delta.", action="Give delta, or one symbol.")
    underlying = await _underlying(context, symbol[0])
    chain = await _explore(context, underlying, wish)
    chosen = _chosen(chain, wish)
    answer = _overview(chain) | held_instead(context, {symbol[0]: underlying})
    if chosen is None and greeks and chain.expiries:
        known = ", ".join(f"{day:%Y%m%d}" for day in sorted(chain.expiries))
        raise InvalidRequest(_nothing_fits(chain, wish), action=f"Choose of {known}.")
    if chosen is None:
        return answer | {"note": _nothing_fits(chain, wish)} | _incomplete(chain)
    answer["expiry"] = chosen.isoformat()
    month = chain.expiries[chosen]["month"]
    listed = await _strikes(context, chain, month)
    sides: list[Right] = [right] if right else ["C", "P"]
    count = min(strikes, _MOST_QUESTIONS // len(sides)) if greeks and chain.market.kind == "OPT" else strikes
    near = chains.nearest(listed, chain.price or listed[len(listed) // 2], count)
    if not greeks:
        return answer | {"strikes": [plain(each) for each in near], "strikes_listed": len(listed)} | _incomplete(chain)
    rows = await _contracts(context, chain, month, chosen, near, sides)
    if not rows and chain.problems:
        raise chain.problems[0]
    quoted = await _quoted(context, rows)
    found = sorted(quoted, key=lambda quote: (quote.contract.strike or 0, quote.contract.right))
    table = compact(_OPTION, (_row(quote, chain) for quote in found), kept=3)
    return answer | {"options": table, **remarks(found)} | _incomplete(chain)


async def _underlying(context: ToolContext, symbol: str) -> Contract:
    """The instrument whose options are meant: of an option its underlying, of a future the index of its options."""
    contract = await context.contracts.resolve(symbol)
    for _ in range(2):
        if contract.kind in ("OPT", "FOP", "FUT", "CFD", "WAR") and contract.underlying:
            contract = (await context.contracts.describe([contract.underlying]))[contract.underlying]
    return contract


async def _explore(context: ToolContext, underlying: Contract, wish: Wish, also: Sequence[str] = ()) -> _Chain:
    """The expiries that ``wish`` is about, with a question for each month."""
    now = context.wall()
    today = chains.today_in_new_york(now)
    market, quote = await gather(
        (
            option_lookups.option_market(context.guard, underlying.conid, underlying.root),
            _price(context, underlying, also),
        )
    )
    assert isinstance(market, OptionMarket)
    price, volatility, about_price = _told(quote)
    chain = _Chain(underlying, market, price, volatility, about_price, today, now)
    months = wish.months(market, today, underlying.symbol)
    listed = await _strikes(context, chain, months[0])
    strike = chains.probe(listed, price)

    async def look(month: str) -> None:
        rows = await option_lookups.derivatives(context.guard, market, month, strike, "C")
        context.contracts.learn_classes(rows)
        _note_expiries(chain, month, rows)

    await _within_budget(chain, (look(month) for month in months))
    if not chain.expiries and chain.problems:
        raise chain.problems[0]
    return chain


def _note_expiries(chain: _Chain, month: str, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        day = chains.expiry_of(row)
        if day is not None and chains.is_tradable(day, chain.now):
            known = chain.expiries.setdefault(day, {"month": month, "classes": {}})
            known["classes"][str(row.get("tradingClass") or "")] = row.get("multiplier")


def _chosen(chain: _Chain, wish: Wish) -> date | None:
    return min((day for day in chain.expiries if wish.fits(day, chain.today, chain.market)), default=None)


def _nothing_fits(chain: _Chain, wish: Wish) -> str:
    if not chain.expiries:
        return "No option was seen that can still be traded."
    asked = wish.expiry or (f"within {wish.days[0]} to {wish.days[1]} days" if wish.days else "")
    return f"No option was seen that expires {asked}; see expiries."


def _overview(chain: _Chain) -> Answer:
    rows = (
        (day.isoformat(), chain.days(day), " ".join(sorted(filter(None, seen["classes"]))), _multiplier(seen))
        for day, seen in sorted(chain.expiries.items())
    )
    return {
        "symbol": chain.underlying.symbol,
        "conid": chain.underlying.conid,
        "name": chain.underlying.name,
        **({"also": list(chain.underlying.also)} if chain.underlying.also else {}),
        **chain.about_price,
        "options_are": "on futures" if chain.market.kind == "FOP" else "on it",
        "months": [month_of(code) for code in chain.market.months],
        "expiries": compact(("expiry", "days", "trading_classes", "multiplier"), rows, kept=2),
    }


def _multiplier(seen: dict[str, Any]) -> str | None:
    told = sorted({str(value) for value in seen["classes"].values() if value})
    return " ".join(told) or None


async def _price(context: ToolContext, underlying: Contract, also: Sequence[str]) -> Quote | None:
    """With the fields ``also``; None where there is none, since the chain is of use without it."""
    try:
        wanted = known_fields.find(["last", "prior_close", *also])
        (quote,) = await quotes(context.guard, [underlying], wanted)
    except IbError:
        return None
    return quote


def _told(quote: Any) -> tuple[Decimal | None, float | None, Answer]:
    """Price and volatility of the underlying, and what is said of the price."""
    if not isinstance(quote, Quote):
        return None, None, {}
    last, prior = quote.values.get("last"), quote.values.get("prior_close")
    price = last if isinstance(last, Decimal) else prior if isinstance(prior, Decimal) else None
    volatility = quote.values.get(_VOLATILITY)
    about: Answer = {"price": plain(price), "currency": quote.contract.currency, "timing": quote.timing}
    if price is not None and (price is not last or quote.notes.get("last") == "previous_close"):
        about["price_is"] = "previous_close"
    return price, float(volatility) / 100 if isinstance(volatility, Decimal) else None, about


async def _strikes(context: ToolContext, chain: _Chain, month: str) -> list[Decimal]:
    if month not in chain.strikes:
        chain.strikes[month] = await option_lookups.strikes(context.guard, chain.market, month)
    if not chain.strikes[month]:
        # IBKR's search lists the month, so it has strikes; a session that began meanwhile tells none.
        raise UpstreamError(
            f"IBKR told no strikes of {chain.underlying.symbol} for {month_of(month)}, a month that it lists.",
            action="Ask again in a minute; if there are none then, choose another month.",
        )
    return chain.strikes[month]


async def _contracts(
    context: ToolContext, chain: _Chain, month: str, day: date, strikes: Sequence[Decimal], sides: Sequence[Right]
) -> list[dict[str, Any]]:
    """IBKR's rows of these options that expire on ``day``."""
    found: list[dict[str, Any]] = []

    async def ask(strike: Decimal | None, side: str) -> None:
        found.extend(await option_lookups.derivatives(context.guard, chain.market, month, strike, side))

    asked: Sequence[Decimal | None] = [None] if chain.market.kind == "FOP" else strikes
    await _within_budget(chain, (ask(strike, side) for strike in asked for side in sides))
    fitting = [row for row in found if chains.expiry_of(row) == day and chains.strike_in(row) in strikes]
    context.contracts.learn_classes(fitting)
    return fitting


async def _within_budget(chain: _Chain, questions: Iterable[Awaitable[None]]) -> None:
    """All of them, as far as the time goes; what failed is noted and hides nothing else."""

    async def one(question: Awaitable[None]) -> None:
        try:
            await question
        except IbError as error:
            chain.problems.append(error)

    left = anyio.current_effective_deadline() - anyio.current_time()
    with anyio.move_on_after(left * _SHARE_OF_LOOKUPS) as scope:
        await gather([one(question) for question in questions])
    if scope.cancelled_caught:
        chain.problems.append(UpstreamTimeout("IBKR took too long to tell them."))


def _incomplete(chain: _Chain) -> Answer:
    if not chain.problems:
        return {}
    return {"complete": False, "note": f"Some options are missing. {chain.problems[0].message}"}


async def _quoted(context: ToolContext, rows: Sequence[dict[str, Any]]) -> list[Quote]:
    known = await context.contracts.describe(int(row["conid"]) for row in rows)
    return await quotes(context.guard, list(known.values()), known_fields.find(_GREEKS))


def _row(quote: Quote, chain: _Chain) -> list[Any]:
    contract = quote.contract
    day = date.fromisoformat(contract.expiry)
    return [
        plain(contract.strike),
        contract.right,
        contract.conid,
        day.isoformat(),
        chain.days(day),
        contract.trading_class,
        plain(contract.multiplier),
        quote.timing,
        plain(quote.mid),
        *(quote.shown(name) for name in _GREEKS),
    ]


async def _by_delta(context: ToolContext, symbols: Sequence[str], wish: Wish, right: Right, delta: float) -> Answer:
    """For each symbol and expiry the option whose delta is nearest."""
    rows: list[list[Any]] = []
    found: list[Quote] = []
    problems: dict[str, IbError] = {}
    notes: dict[str, str] = {}
    meant: dict[str, Contract] = {}

    async def one(symbol: str) -> None:
        try:
            meant[symbol] = await _underlying(context, symbol)
            chain = await _explore(context, meant[symbol], wish, [_VOLATILITY])
            best = await _nearest_to(context, chain, wish, right, delta)
        except IbError as error:
            problems[symbol] = error
            return
        if not best:
            notes[symbol] = _nothing_fits(chain, wish)
        elif chain.problems:
            notes[symbol] = chain.problems[0].message
        rows.extend([_row_by_delta(quote, chain) for quote in best])
        found.extend(best)

    await gather(map(one, dict.fromkeys(symbols)))
    if not rows and not notes:
        raise next(iter(problems.values()))
    rows.sort(key=lambda row: (str(row[2]), row[4]))
    return {
        "right": right,
        "delta": delta,
        "options": compact(_BY_DELTA, rows, kept=2),
        **unknown(problems),
        **({"remarks": notes} if notes else {}),
        **held_instead(context, meant),
        **remarks(found),
    }


async def _nearest_to(context: ToolContext, chain: _Chain, wish: Wish, right: Right, delta: float) -> list[Quote]:
    fitting = sorted(day for day in chain.expiries if wish.fits(day, chain.today, chain.market))
    days = fitting[: _MOST_EXPIRIES_BY_DELTA if wish.days or wish.expiry else 1]
    if chain.price is None:
        raise InvalidRequest(
            f"{chain.underlying.symbol} has no price to start from.", action="Use greeks=true with an expiry."
        )
    rows: list[dict[str, Any]] = []
    for day in days:
        month = chain.expiries[day]["month"]
        listed = await _strikes(context, chain, month)
        guess = chains.strike_of_delta(chain.price, delta, right, chain.days(day), chain.volatility)
        near = chains.nearest(listed, guess, _AROUND_DELTA)
        rows += await _contracts(context, chain, month, day, near, [right])
    quoted = await _quoted(context, rows) if rows else []
    best: dict[str, Quote] = {}
    for quote in quoted:
        known = best.get(quote.contract.expiry)
        if known is None or _distance(quote, delta) < _distance(known, delta):
            best[quote.contract.expiry] = quote
    return list(best.values())


def _distance(quote: Quote, delta: float) -> float:
    value = quote.values.get("delta")
    return abs(abs(float(value)) - delta) if isinstance(value, Decimal) else 2.0


def _row_by_delta(quote: Quote, chain: _Chain) -> list[Any]:
    day = date.fromisoformat(quote.contract.expiry)
    return [
        quote.contract.symbol,
        quote.contract.conid,
        chain.underlying.symbol,
        plain(chain.price),
        chain.days(day),
        quote.timing,
        plain(quote.mid),
        *(quote.shown(name) for name in _GREEKS),
    ]
