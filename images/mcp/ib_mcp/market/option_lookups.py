"""The single questions to IBKR by which options are found, and the futures of a contract month."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.bodies import listed_in, objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.guard.client import Guard
from ib_mcp.market.lookups import matches
from ib_mcp.market.notation import month_code, month_of
from ib_mcp.market.wanted import Option
from ibkr.errors import InvalidRequest

LOOK_UP = "Look up its expiries and strikes with get_option_chain."


@dataclass(frozen=True, slots=True)
class OptionMarket:
    """Where the options on an instrument are traded: OPT, or FOP on futures; months as IBKR writes them (DEC26).

    ``underlying`` is the conid that the questions about them name: for FOP the index of the futures.
    """

    underlying: int
    kind: str
    exchange: str | None
    months: tuple[str, ...]

    def months_of(self, expiry: str) -> list[str]:
        """The listed months in which an option of ``expiry`` (YYYYMM or YYYYMMDD) can be found.

        An option on a future often expires before the month that it is named after.
        """
        wanted = [expiry[:6]]
        if self.kind == "FOP" and len(expiry) == 8:
            year, month = int(expiry[:4]), int(expiry[4:6])
            wanted += [f"{year + (month + step - 1) // 12}{(month + step - 1) % 12 + 1:02}" for step in (1, 2)]
        return [code for code in map(month_code, wanted) if code in self.months]


async def option_market(guard: Guard, underlying: int, symbol: str) -> OptionMarket:
    """Of the options on an instrument. Also opens the way to its strikes: IBKR wants this search before."""
    for row in await matches(guard, symbol=symbol):
        if int(row["conid"]) != underlying:
            continue
        for section in objects(row.get("sections")):
            months = _months(section)
            if section.get("secType") in ("OPT", "FOP") and months:
                kind = str(section["secType"])
                exchange = str(section.get("exchange") or "").split(";")[0] if kind == "FOP" else None
                return OptionMarket(underlying, kind, exchange, months)
    raise InvalidRequest(
        f"IBKR lists no options on {symbol} (conid {underlying}).", action="Choose another instrument."
    )


def _months(section: dict[str, Any]) -> tuple[str, ...]:
    """The months of a section of contract search, in order."""
    months = [month for month in str(section.get("months") or "").split(";") if month]
    return tuple(sorted(months, key=month_of))


def nearest_future(row: dict[str, Any]) -> str:
    """The nearest contract month (YYYYMM) of the futures that a row of contract search tells of, or nothing."""
    months = [
        month
        for section in objects(row.get("sections"))
        if section.get("secType") == "FUT"
        for month in _months(section)
    ]
    return min(map(month_of, months), default="")


async def strikes(guard: Guard, market: OptionMarket, month: str) -> list[Decimal]:
    """Strikes of a month in order; not each exists in every expiry."""
    query = {"conid": market.underlying, "sectype": market.kind, "month": month, "exchange": market.exchange}
    body = (await guard.call("list_strikes", query=query)).object
    listed = {decimal(strike) for side in ("call", "put") for strike in listed_in(body.get(side))}
    return sorted(strike for strike in listed if strike is not None)


async def options(guard: Guard, market: OptionMarket, want: Option) -> list[dict[str, Any]]:
    """Rows of the option; several when its month was asked for, or where several classes have the same terms.

    InvalidRequest lists the expiries that there are.
    """
    rows = [
        row
        for month in market.months_of(want.expiry)
        for row in await derivatives(guard, market, month, want.strike, want.right)
    ]
    found = [row for row in rows if str(row.get("maturityDate") or "").startswith(want.expiry)]
    if not found and rows:
        expiries = ", ".join(sorted({str(row.get("maturityDate")) for row in rows}))
        raise InvalidRequest(f"{want} does not expire then.", action=f"Choose of {expiries}, or see get_option_chain.")
    return list(_fitting(found, want.trading_class, want.multiplier))


def _fitting(rows: Iterable[dict[str, Any]], tclass: str, multiplier: Decimal | None) -> Iterable[dict[str, Any]]:
    for row in rows:
        if tclass and row.get("tradingClass") and str(row["tradingClass"]).upper() != tclass:
            continue
        if multiplier is not None and decimal(row.get("multiplier")) not in (None, multiplier):
            continue
        yield row


async def derivatives(
    guard: Guard, market: OptionMarket, month: str, strike: Decimal | None, right: str
) -> list[dict[str, Any]]:
    """Rows of the options of a month with this strike and right, after ``option_market`` was asked for.

    Of options on futures IBKR tells all strikes at once, where none is given.
    """
    query = {
        "conid": market.underlying,
        "sectype": market.kind,
        "month": month,
        "strike": None if strike is None else format(strike.normalize(), "f"),
        "right": right,
        "exchange": market.exchange,
    }
    return [row for row in (await guard.call("get_derivative_contracts", query=query)).rows if row.get("conid")]


async def futures_of_month(guard: Guard, root: str, underlying: int, month: str) -> set[int]:
    """Conids of the futures of a contract month (YYYYMM), which the portal's list does not tell."""
    found: set[int] = set()
    for row in await matches(guard, symbol=root):
        if int(row["conid"]) != underlying:
            continue
        for section in objects(row.get("sections")):
            if section.get("secType") == "FUT" and month_code(month) in _months(section):
                query = {"conid": underlying, "sectype": "FUT", "month": month_code(month)}
                rows = (await guard.call("get_derivative_contracts", query=query)).rows
                found |= {int(future["conid"]) for future in rows if future.get("conid")}
    return found
