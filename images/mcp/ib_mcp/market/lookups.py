"""The single questions to IBKR by which an instrument is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal
from ib_mcp.guard.client import Guard
from ib_mcp.market.notation import Future, Option, Pair, Stock, month_code
from ibkr.errors import InvalidRequest, UpstreamError

LOOK_UP = "Look it up with search_contracts."
LOOK_UP_OPTIONS = "Look up its expiries and strikes with get_option_chain."
MOST_DEFINITIONS = 200
# Each may be asked for in two spellings.
MOST_SYMBOLS = 25
_MAIN_US = frozenset({"NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "IEX", "CBOE"})
_NOT_FOUND = "no symbol found"


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of a stock."""

    conid: int
    exchange: str
    is_us: bool


async def stocks(guard: Guard, symbols: Iterable[str]) -> dict[str, list[Listing]]:
    """Listings by symbol as asked for, from the portal's list; symbols without one are missing."""
    spellings = {spelling: symbol for symbol in symbols for spelling in _spellings(symbol)}
    found: dict[str, list[Listing]] = {}
    body = (await guard.call("search_stocks", query={"symbols": ",".join(spellings)})).object
    for spelling, companies in body.items():
        listings = [
            Listing(int(row["conid"]), str(row.get("exchange") or ""), row.get("isUS") is True)
            for company in companies or ()
            if company.get("assetClass") == "STK"
            for row in company.get("contracts") or ()
        ]
        if listings and spelling in spellings:
            found.setdefault(spellings[spelling], []).extend(listings)
    return found


def _spellings(symbol: str) -> set[str]:
    """Share classes are written BRK.B, BRK-B and BRK/B; IBKR writes BRK B."""
    return {symbol, symbol.translate(str.maketrans(".-/", "   "))}


def prefer(listings: list[Listing], exchange: str | None) -> list[Listing]:
    """Those that may be meant, by the resolver's rule; one when it is clear, none for a wrong exchange."""
    if exchange and exchange != "SMART":
        return [listing for listing in listings if listing.exchange.upper() == exchange]
    american = [listing for listing in listings if listing.is_us]
    main = [listing for listing in american if listing.exchange in _MAIN_US]
    return next((group for group in (american, main) if len(group) == 1), listings)


async def search(guard: Guard, want: Stock) -> list[int]:
    """Conids of indices, funds and the like with this symbol, from the brokerage session."""
    return [
        int(row["conid"])
        for row in await matches(guard, symbol=want.symbol)
        if str(row.get("symbol") or "").upper() == want.symbol
        and want.exchange in (None, "SMART", str(row.get("description") or "").upper())
    ]


async def matches(guard: Guard, **query: Any) -> list[dict[str, Any]]:
    """Rows of contract search that are instruments (issuers of bonds are not)."""
    try:
        rows = (await guard.call("search_contracts", query=query)).rows
    except UpstreamError as error:
        if _NOT_FOUND in error.message.lower():
            return []
        raise
    return [row for row in rows if row.get("symbol") and row.get("conid")]


async def pair(guard: Guard, want: Pair) -> int:
    body = (await guard.call("list_currency_pairs", query={"currency": want.quote})).object
    for row in body.get(want.quote) or ():
        if row.get("symbol") == f"{want.base}.{want.quote}":
            return int(row["conid"])
    raise InvalidRequest(
        f"IBKR does not trade {want.base}.{want.quote}.", action=f"Try {want.quote}.{want.base}, or another pair."
    )


async def futures(guard: Guard, want: Future) -> list[int]:
    """Conids of the futures that expire then, nearest first; InvalidRequest lists the expiries that there are."""
    body = (await guard.call("list_futures", query={"symbols": want.symbol, "exchange": want.exchange})).object
    rows = sorted(body.get(want.symbol) or (), key=lambda row: int(row["expirationDate"]))
    found = [int(row["conid"]) for row in rows if str(row["expirationDate"]).startswith(want.expiry)]
    if not found and rows:
        expiries = ", ".join(str(row["expirationDate"]) for row in rows[:12])
        raise InvalidRequest(f"No {want.symbol} future expires in {want.expiry}.", action=f"Choose of {expiries}.")
    return found


@dataclass(frozen=True, slots=True)
class OptionMarket:
    """Where the options on an instrument are traded: OPT, or FOP on futures; months as IBKR writes them (DEC26)."""

    kind: str
    exchange: str | None
    months: tuple[str, ...]


async def option_market(guard: Guard, underlying: int, symbol: str) -> OptionMarket:
    """Of the options on an instrument. Also opens the way to its strikes: IBKR wants this search before."""
    for row in await matches(guard, symbol=symbol):
        if int(row["conid"]) != underlying:
            continue
        for section in row.get("sections") or ():
            months = tuple(month for month in str(section.get("months") or "").split(";") if month)
            if section.get("secType") in ("OPT", "FOP") and months:
                kind = str(section["secType"])
                exchange = str(section.get("exchange") or "").split(";")[0] if kind == "FOP" else None
                return OptionMarket(kind, exchange, months)
    raise InvalidRequest(
        f"IBKR lists no options on {symbol} (conid {underlying}).", action="Choose another instrument."
    )


async def strikes(guard: Guard, underlying: int, market: OptionMarket, month: str) -> list[Decimal]:
    """Strikes of a month in order; not each exists in every expiry."""
    query = {"conid": underlying, "sectype": market.kind, "month": month, "exchange": market.exchange}
    body = (await guard.call("list_strikes", query=query)).object
    listed = {decimal(strike) for side in ("call", "put") for strike in body.get(side) or ()}
    return sorted(strike for strike in listed if strike is not None)


async def options(guard: Guard, underlying: int, symbol: str, want: Option) -> list[int]:
    """Conids of the option; several when its month was asked for and holds several expiries."""
    market = await option_market(guard, underlying, symbol)
    rows = await derivatives(guard, underlying, market, month_code(want.expiry), want.strike, want.right)
    found = [int(row["conid"]) for row in rows if str(row.get("maturityDate") or "").startswith(want.expiry)]
    if not found and rows:
        expiries = ", ".join(sorted({str(row.get("maturityDate")) for row in rows}))
        raise InvalidRequest(f"{want} does not expire then.", action=f"Choose of {expiries}, or see get_option_chain.")
    return found


async def derivatives(
    guard: Guard, underlying: int, market: OptionMarket, month: str, strike: Decimal, right: str
) -> list[dict[str, Any]]:
    """Rows of the options of a month with this strike and right, after ``option_market`` was asked for."""
    query = {
        "conid": underlying,
        "sectype": market.kind,
        "month": month,
        "strike": format(strike.normalize(), "f"),
        "right": right,
        "exchange": market.exchange,
    }
    return [row for row in (await guard.call("get_derivative_contracts", query=query)).rows if row.get("conid")]


async def definitions(guard: Guard, conids: list[int]) -> list[dict[str, Any]]:
    """Rows of ``/trsrv/secdef``; conids that IBKR does not know are missing."""
    body = (await guard.call("get_security_definitions", query={"conids": ",".join(map(str, conids))})).object
    rows = body.get("secdef")
    return [row for row in rows or () if isinstance(row, dict) and row.get("conid")]
