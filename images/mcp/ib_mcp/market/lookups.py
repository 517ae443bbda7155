"""The single questions to IBKR by which an instrument is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ib_mcp.formats.bodies import conid_of, objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.guard.client import Guard
from ib_mcp.market import exchanges
from ib_mcp.market.wanted import Bond, Pair
from ibkr.errors import UpstreamError

LOOK_UP = "Look it up with search_contracts."
MOST_DEFINITIONS = 200
# Each may be asked for in two spellings.
MOST_SYMBOLS = 25
_NOT_FOUND = "no symbol found"


@dataclass(frozen=True, slots=True)
class Listing:
    """One listing of a stock; ``company`` is its issuer's name."""

    conid: int
    exchange: str
    is_us: bool
    company: str


async def stocks(guard: Guard, symbols: Iterable[str]) -> dict[str, list[Listing]]:
    """Listings by symbol as asked for, from the portal's list; symbols without one are missing."""
    spellings = {spelling: symbol for symbol in symbols for spelling in _spellings(symbol)}
    found: dict[str, list[Listing]] = {}
    body = (await guard.call("search_stocks", query={"symbols": ",".join(spellings)})).object
    for spelling, companies in body.items():
        listings = [
            Listing(
                number,
                str(row.get("exchange") or ""),
                row.get("isUS") is True,
                str(company.get("name") or ""),
            )
            for company in objects(companies)
            if company.get("assetClass") == "STK"
            for row in objects(company.get("contracts"))
            if (number := conid_of(row)) is not None
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
        return [listing for listing in listings if exchanges.is_at(listing.exchange, exchange)]
    american = [listing for listing in listings if listing.is_us]
    main = [listing for listing in american if listing.exchange in exchanges.MAIN_US]
    return next((group for group in (american, main) if len(group) == 1), listings)


async def matches(guard: Guard, **query: Any) -> list[dict[str, Any]]:
    """Rows of contract search that are instruments (issuers of bonds are not)."""
    return [row for row in await _search(guard, **query) if row.get("symbol") and conid_of(row) is not None]


async def _search(guard: Guard, **query: Any) -> list[dict[str, Any]]:
    try:
        return (await guard.call("search_contracts", query=query)).rows
    except UpstreamError as error:
        if _NOT_FOUND in error.message.lower():
            return []
        raise


def classes(row: dict[str, Any]) -> list[str]:
    """What a row of contract search is and what is traded on it: STK, IND, OPT, FUT, ..."""
    return [str(section.get("secType")) for section in objects(row.get("sections"))]


def is_exactly(row: dict[str, Any], symbol: str, exchange: str | None) -> bool:
    """Whether a row of contract search has this symbol, on this exchange where one is named."""
    if str(row.get("symbol") or "").upper() != symbol:
        return False
    return exchange in (None, "SMART") or exchanges.is_at(str(row.get("description") or ""), str(exchange))


async def pairs(guard: Guard, want: Pair) -> list[int]:
    """The conid of a pair of currencies, if it is traded this way round."""
    body = (await guard.call("list_currency_pairs", query={"currency": want.quote})).object
    rows = objects(body.get(want.quote))
    found = (conid_of(row) for row in rows if row.get("symbol") == f"{want.base}.{want.quote}")
    return [number for number in found if number is not None]


async def cfds(guard: Guard, symbol: str) -> list[int]:
    """Conids of CFDs on instruments of this symbol; search tells them beside the instrument."""
    return [
        number
        for row in await matches(guard, symbol=symbol)
        for section in objects(row.get("sections"))
        if section.get("secType") == "CFD" and (number := conid_of(section))
    ]


async def bonds(guard: Guard, want: Bond) -> list[int]:
    """Conids of the issuer's bonds of this coupon and maturity."""
    found = []
    for row in await _search(guard, symbol=want.symbol, secType="BOND"):
        for issuer in objects(row.get("issuers")):
            query = {"conid": row.get("conid"), "sectype": "BOND", "issuerId": issuer.get("id")}
            for bond in (await guard.call("get_derivative_contracts", query=query)).rows:
                words = f"{bond.get('desc1')} {bond.get('desc2')}".split()
                has_coupon = any(decimal(word.rstrip("%")) == want.coupon for word in words)
                number = conid_of(bond)
                if str(bond.get("maturityDate")) == want.maturity and has_coupon and number is not None:
                    found.append(number)
    return found


async def futures(guard: Guard, symbol: str, exchange: str | None) -> list[dict[str, Any]]:
    """Rows of the futures with this root that have not expired, nearest first."""
    body = (await guard.call("list_futures", query={"symbols": symbol, "exchange": exchange})).object
    rows = [row for row in objects(body.get(symbol)) if str(row.get("expirationDate")).isdecimal()]
    return sorted(rows, key=lambda row: str(row["expirationDate"]))


async def definitions(guard: Guard, conids: list[int]) -> list[dict[str, Any]]:
    """Rows of ``/trsrv/secdef``; conids that IBKR does not know are missing."""
    body = (await guard.call("get_security_definitions", query={"conids": ",".join(map(str, conids))})).object
    return [row for row in objects(body.get("secdef")) if conid_of(row) is not None]
