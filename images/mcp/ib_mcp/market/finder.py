"""From one reading of what an agent wrote to the conids that IBKR lists under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from ib_mcp.guard.client import Guard
from ib_mcp.market import exchanges, lookups, option_lookups
from ib_mcp.market.choices import Ambiguous
from ib_mcp.market.contract import Contract
from ib_mcp.market.lookups import Listing
from ib_mcp.market.naming import INDICES
from ib_mcp.market.wanted import (
    Bond,
    Cfd,
    Conid,
    Future,
    Identifier,
    Index,
    Number,
    Option,
    Pair,
    Stock,
    Wanted,
    Words,
)
from ibkr.errors import IbError, InvalidRequest

_MOST_ALSO = 4
_RATE = "get_exchange_rate"

Listed = Mapping[str, Sequence[Listing]]


class Book(Protocol):
    """What the finder needs of the one who remembers contracts."""

    async def known(self, conids: Iterable[int]) -> dict[int, Contract]: ...

    async def resolve(self, text: str) -> Contract: ...

    def learn_classes(self, rows: Iterable[dict[str, Any]]) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """``conids`` that fit; ``also`` names instruments that a rule passed over; ``lasting``: good until they expire."""

    conids: tuple[int, ...] = ()
    also: tuple[str, ...] = ()
    lasting: bool = True


class Finder:
    def __init__(self, guard: Guard, book: Book) -> None:
        self._guard = guard
        self._book = book

    async def find(self, want: Wanted, listed: Listed) -> Found:
        """``listed`` holds the listings of the stocks in question. Nothing found is no error.

        Ambiguous or InvalidRequest where more is known than that nothing fits.
        """
        match want:
            case Conid():
                return Found((want.conid,) if await self._book.known([want.conid]) else ())
            case Number():
                return await self._number(want, listed)
            case Stock():
                return await self._stock(want, listed)
            case Index():
                return await self._searched(want.symbol, None, "IND", listed)
            case Pair():
                return await self._pair(want, listed)
            case Future():
                return await self._future(want)
            case Option():
                return await self._option(want)
            case Bond():
                return Found(tuple(await lookups.bonds(self._guard, want)))
            case Cfd():
                return await self._cfd(want)
            case Identifier():
                return await self._identifier(want)
            case Words():
                return Found()

    async def _identifier(self, want: Identifier) -> Found:
        """Of the listings of one security the only one in the United States, else all."""
        rows = await lookups.matches(self._guard, symbol=want.code)
        known = await self._book.known(int(row["conid"]) for row in rows)
        american = [conid for conid, contract in known.items() if exchanges.is_us(contract.exchange)]
        if len(american) != 1:
            return Found(tuple(known))
        return Found(tuple(american), tuple(known[conid].symbol for conid in known if conid not in american))

    async def _number(self, want: Number, listed: Listed) -> Found:
        """A conid and a ticker alike: asked where both exist."""
        tickers = [listing for name in tickers_of(want) for listing in listed.get(name, ())]
        conid = int(want.digits)
        if want.exchange is not None:
            fitting = tuple(row.conid for row in tickers if exchanges.is_at(row.exchange, want.exchange))
            return Found(fitting or (conid,))
        is_conid = not want.digits.startswith("0") and bool(await self._book.known([conid]))
        listings = tuple(row.conid for row in tickers)
        return Found(tuple(dict.fromkeys((*listings, *((conid,) if is_conid else ())))))

    async def _stock(self, want: Stock, listed: Listed) -> Found:
        listings = list(listed.get(want.symbol, ()))
        fitting = lookups.prefer(listings, want.exchange)
        if not fitting:
            try:
                found = await self._searched(want.symbol, want.exchange, None, {})
            except IbError:
                if listings:
                    await self._not_there(want, listings)
                raise
            if not found.conids and listings:
                await self._not_there(want, listings)
            return found
        also = _others(want.symbol, fitting[0], listings) if len(fitting) == 1 and want.exchange is None else ()
        return Found(tuple(listing.conid for listing in fitting), also)

    async def _not_there(self, want: Stock, listings: Sequence[Listing]) -> None:
        known = await self._book.known(listing.conid for listing in listings)
        raise Ambiguous(f"{want.symbol} is not listed on {want.exchange}.", list(known.values()))

    async def _searched(self, symbol: str, exchange: str | None, kind: str | None, listed: Listed) -> Found:
        """What contract search has under exactly this symbol, of one class where one is meant."""
        rows = await lookups.matches(self._guard, symbol=symbol)
        fitting = [
            row
            for row in rows
            if lookups.is_exactly(row, symbol, exchange) and (kind is None or kind in lookups.classes(row))
        ]
        shares = _others(symbol, None, listed.get(symbol, ())) if fitting else ()
        conids = tuple(dict.fromkeys(int(row["conid"]) for row in fitting))
        return Found(conids, (*_futures(symbol, fitting), *shares))

    async def _pair(self, want: Pair, listed: Listed) -> Found:
        if want.quote and not want.is_coin:
            found = await lookups.pairs(self._guard, want)
            if not found:
                raise InvalidRequest(
                    f"IBKR does not trade {want.base}.{want.quote}.",
                    action=f"Try {want.quote}.{want.base}; the rate of any two currencies: call_endpoint, {_RATE}.",
                )
            return Found(tuple(found))
        found_coins = await self._searched(want.base, want.exchange, "CRYPTO", listed)
        known = await self._book.known(found_coins.conids)
        fitting = (conid for conid, coin in known.items() if want.quote in ("", coin.currency))
        return replace(found_coins, conids=tuple(fitting), also=found_coins.also if not want.quote else ())

    async def _cfd(self, want: Cfd) -> Found:
        known = await self._book.known(await lookups.cfds(self._guard, want.symbol))
        return Found(tuple(conid for conid, cfd in known.items() if want.currency in (None, cfd.currency)))

    async def _future(self, want: Future) -> Found:
        rows = await lookups.futures(self._guard, want.symbol, want.exchange)
        if not rows:
            return Found()
        known = await self._book.known(int(row["conid"]) for row in rows)
        futures = [
            _with_expiry(known[conid], row)
            for row in rows
            if (conid := int(row["conid"])) in known and _has_terms(known[conid], want)
        ]
        if not want.expiry:
            nearest = min((future.expiry for future in futures), default="")
            return Found(tuple(future.conid for future in futures if future.expiry == nearest), lasting=False)
        if len(want.expiry) == 8:
            fitting = [future for future in futures if future.expiry == want.expiry]
        else:
            months = await self._months(want, rows, futures)
            fitting = [future for future in futures if fnmatchcase(months[future.conid], want.expiry)]
        if not fitting:
            raise _no_future(want, futures)
        chosen = {future.conid for future in fitting}
        also = (
            f"{future.symbol} (expires {future.expiry})"
            for future in futures
            if future.conid not in chosen and _expires_in(future, want.expiry)
        )
        return Found(tuple(chosen), tuple(also), lasting="?" not in want.expiry)

    async def _months(
        self, want: Future, rows: Sequence[dict[str, Any]], futures: Sequence[Contract]
    ) -> dict[int, str]:
        """Contract months by conid. Those that no text tells are asked for; without an answer the expiry's month."""
        months = {future.conid: future.month for future in futures}
        if all(months.values()) or "?" in want.expiry:
            return {conid: month or _expiry_month(futures, conid) for conid, month in months.items()}
        underlying = int(rows[0].get("underlyingConid") or 0)
        of_month = await option_lookups.futures_of_month(self._guard, want.symbol, underlying, want.expiry)
        return {
            conid: month or (want.expiry if conid in of_month else "" if of_month else _expiry_month(futures, conid))
            for conid, month in months.items()
        }

    async def _option(self, want: Option) -> Found:
        """On a stock or index, or on a future of this root; asked where both exist."""
        only_future = want.on_future or (want.exchange or "") in exchanges.FUTURES
        refusals: list[IbError] = []
        plain: list[int] = []
        underlying: Contract | None = None
        if not only_future:
            root = f"{want.symbol}@{want.exchange}" if want.exchange else want.symbol
            try:
                underlying = await self._book.resolve(root)
                plain = await self._options_on(underlying.conid, underlying.root, want)
            except InvalidRequest as error:
                refusals.append(error)
        on_futures: list[int] = []
        if only_future or want.exchange is None:
            rows = await lookups.futures(self._guard, want.symbol, want.exchange if only_future else None)
            for index in dict.fromkeys(int(row.get("underlyingConid") or 0) for row in rows):
                try:
                    on_futures += await self._options_on(index, want.symbol, want, "FOP")
                except InvalidRequest as error:
                    refusals.append(error)
        on_futures = [conid for conid in on_futures if conid not in plain]
        if plain and on_futures and underlying is not None:
            await self._on_both(want, underlying, plain, on_futures)
        if not plain and not on_futures and refusals:
            # Which expiries there are says more than that there are no options.
            raise max(refusals, key=lambda error: error.action.startswith("Choose of"))
        return Found((*plain, *on_futures))

    async def _options_on(self, conid: int, root: str, want: Option, kind: str | None = None) -> list[int]:
        market = await option_lookups.option_market(self._guard, conid, root)
        if kind is not None and market.kind != kind:
            return []
        rows = await option_lookups.options(self._guard, market, want)
        self._book.learn_classes(rows)
        return [int(row["conid"]) for row in rows]

    async def _on_both(self, want: Option, underlying: Contract, plain: Sequence[int], futures: Sequence[int]) -> None:
        known = await self._book.known((*plain, *futures))
        full = f"{underlying.root}@{underlying.exchange} "
        choices = [
            replace(option, symbol=full + option.symbol.split(" ", 1)[1])
            if conid in plain and "@" not in option.symbol and " " in option.symbol
            else option
            for conid, option in known.items()
        ]
        raise Ambiguous(f"{want} may be an option on {underlying.name} or on a future.", choices)


def tickers_of(want: Number) -> tuple[str, ...]:
    """The tickers that are asked for: Hong Kong's 0700 is IBKR's 700."""
    short = want.digits.lstrip("0")
    return tuple(dict.fromkeys(name for name in (want.digits, short) if name))


def _others(symbol: str, chosen: Listing | None, listings: Iterable[Listing]) -> tuple[str, ...]:
    """Other listings under the same letters, those of other companies first and with their name."""
    rest = [listing for listing in listings if listing is not chosen]
    company = chosen.company if chosen else None
    rest.sort(key=lambda listing: listing.company == company)
    names = [
        f"{symbol}@{listing.exchange}" + ("" if listing.company == company else f" {listing.company}"[:40])
        for listing in rest
    ]
    return (*names[:_MOST_ALSO], *((f"{len(names) - _MOST_ALSO} more",) if len(names) > _MOST_ALSO else ()))


def _futures(symbol: str, rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The nearest future, where the letters are those of futures and the row found is their index."""
    months = [option_lookups.nearest_future(row) for row in rows if "IND" in lookups.classes(row)]
    return tuple(f"{symbol} {month} the future" for month in months[:1] if month and symbol not in INDICES)


def _no_future(want: Future, futures: Sequence[Contract]) -> InvalidRequest:
    """Names the months that there are, and the future that expires in the month that may have been meant."""
    listed = ", ".join(dict.fromkeys(future.month or future.expiry for future in futures))
    expiring = [f"{future.symbol} expires on {future.expiry}" for future in futures if _expires_in(future, want.expiry)]
    told = f" But {' and '.join(expiring)}." if expiring else ""
    return InvalidRequest(
        f"There is no {want.symbol} future with the contract month {want.expiry}.{told}", action=f"Choose of {listed}."
    )


def _expires_in(future: Contract, month: str) -> bool:
    return len(month) == 6 and fnmatchcase(future.expiry[:6], month)


def _with_expiry(contract: Contract, row: dict[str, Any]) -> Contract:
    return contract if contract.expiry else replace(contract, expiry=str(row["expirationDate"]))


def _has_terms(future: Contract, want: Future) -> bool:
    if want.multiplier is not None and future.multiplier not in (None, want.multiplier):
        return False
    return not want.trading_class or future.trading_class in ("", want.trading_class)


def _expiry_month(futures: Iterable[Contract], conid: int) -> str:
    return next(future.expiry[:6] for future in futures if future.conid == conid)
