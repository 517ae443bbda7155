"""From what an agent calls an instrument to IBKR's conid, and from a conid to its description.

A name is looked up in the portal's stock list first, which needs no brokerage session. Of several stocks with a symbol
the one is meant that (1) is listed on the exchange given with ``@``; else (2) is the only one; else (3) is the only one
listed in the US; else (4) is the only one on a main US exchange. Whatever stays ambiguous is answered with the choices.
A symbol that no stock has may be an index, a fund or a coin: those are searched in the brokerage session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.guard.batching import Batch
from ib_mcp.guard.client import Guard
from ib_mcp.market import lookups
from ib_mcp.market.notation import Conid, Future, Option, Pair, Stock, Wanted, parse
from ibkr.errors import IbError, InvalidRequest

_MOST_REMEMBERED = 20_000
_MOST_CHOICES = 12

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Contract:
    """``symbol`` names it in questions to us; ``root`` is the symbol of a derivative's underlying, else its own."""

    conid: int
    symbol: str
    kind: str
    exchange: str
    currency: str
    name: str
    root: str
    underlying: int = 0
    asked_exchange: str | None = None

    @property
    def conidex(self) -> str:
        """The conid as market data is asked for, on one exchange where the agent named one."""
        return f"{self.conid}@{self.asked_exchange}" if self.asked_exchange else str(self.conid)


class Ambiguous(InvalidRequest):
    """Several instruments may be meant; the envelope lists them."""

    def __init__(self, message: str, choices: Sequence[Contract]) -> None:
        differ = len({choice.symbol for choice in choices}) == len(choices)
        super().__init__(message, action=f"Use the {'symbol' if differ else 'SYMBOL@EXCHANGE'} or conid of one choice.")
        self.choices = choices

    def envelope(self) -> dict[str, Any]:
        columns = ("symbol", "conid", "exchange", "currency", "name")
        body = super().envelope()
        body["error"]["choices"] = table(
            columns, ([getattr(choice, name) for name in columns] for choice in self.choices)
        )
        return body


class Contracts:
    """Looks instruments up and remembers them: a conid lives as long as its instrument."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._listings = Batch(partial(lookups.stocks, guard), lookups.MOST_SYMBOLS)
        self._definitions = Batch(self._ask_definitions, lookups.MOST_DEFINITIONS)
        self._conids: dict[str, int] = {}
        self._known: dict[int, Contract] = {}

    async def resolve(self, text: str) -> Contract:
        """The instrument that ``text`` names. InvalidRequest when there is none, Ambiguous when there are several."""
        return (await self.resolve_all([text]))[0]

    async def resolve_all(self, texts: Sequence[str]) -> list[Contract]:
        """As ``resolve`` for each, with as few questions to IBKR as possible."""
        wanted = {text: parse(text) for text in texts}
        conids = {text: self._conids[text] for text in wanted if text in self._conids}
        conids |= await self._find_conids({text: want for text, want in wanted.items() if text not in conids})
        known = await self.describe(conids.values())
        return [_as_asked(known[conids[text]], wanted[text]) for text in texts]

    async def describe(self, conids: Iterable[int]) -> dict[int, Contract]:
        """Descriptions by conid; InvalidRequest for a conid that IBKR does not know."""
        asked = list(dict.fromkeys(conids))
        known = await self.known(asked)
        for conid in asked:
            if conid not in known:
                raise InvalidRequest(f"There is no instrument with the conid {conid}.", action=lookups.LOOK_UP)
        return {conid: known[conid] for conid in asked}

    async def known(self, conids: Iterable[int]) -> dict[int, Contract]:
        """Descriptions of those that IBKR describes."""
        asked = list(dict.fromkeys(conids))
        known = {conid: self._known[conid] for conid in asked if conid in self._known}
        known |= await self._learn([conid for conid in asked if conid not in known])
        return {conid: known[conid] for conid in asked if conid in known}

    async def symbols(self, conids: Iterable[Any]) -> dict[str, str]:
        """Symbols as all tools take them by conid (as text); those are missing that IBKR does not tell."""
        try:
            known = await self.known(int(conid) for conid in conids if str(conid).isdecimal())
        except IbError:
            return {}
        return {str(conid): contract.symbol for conid, contract in known.items()}

    async def _find_conids(self, wanted: dict[str, Wanted]) -> dict[str, int]:
        """The conids of names that were never asked for before."""
        listed = await self._listings.get({want.symbol for want in wanted.values() if isinstance(want, Stock)})
        found = {text: await self._conid(text, want, listed) for text, want in wanted.items()}
        _remember(self._conids, found)
        return found

    async def _conid(self, text: str, want: Wanted, listed: dict[str, list[lookups.Listing]]) -> int:
        match want:
            case Conid():
                return want.conid
            case Stock():
                return await self._stock(text, want, listed.get(want.symbol, []))
            case Pair():
                return await lookups.pair(self._guard, want)
            case Future():
                return await self._only(text, await lookups.futures(self._guard, want))
            case Option():
                underlying = await self.resolve(f"{want.symbol}@{want.exchange}" if want.exchange else want.symbol)
                found = await lookups.options(self._guard, underlying.conid, underlying.root, want)
                return await self._only(text, found, look_up=lookups.LOOK_UP_OPTIONS)

    async def _stock(self, text: str, want: Stock, listed: list[lookups.Listing]) -> int:
        fitting = lookups.prefer(listed, want.exchange)
        if not fitting and want.exchange and listed:
            choices = await self._choices([listing.conid for listing in listed])
            raise Ambiguous(f"{want.symbol} is not listed on {want.exchange}.", choices)
        if not fitting:
            try:
                return await self._only(text, await lookups.search(self._guard, want))
            except IbError as error:
                raise _while_searching(text, error) from error
        return await self._only(text, [listing.conid for listing in fitting])

    async def _only(self, text: str, conids: Sequence[int], look_up: str = lookups.LOOK_UP) -> int:
        if not conids:
            raise InvalidRequest(f"There is no instrument {text[:60]!r}.", action=look_up)
        if len(conids) > 1:
            raise Ambiguous(f"{text[:60]!r} fits several instruments.", await self._choices(conids))
        return conids[0]

    async def _choices(self, conids: Sequence[int]) -> list[Contract]:
        return list((await self.known(conids[:_MOST_CHOICES])).values())

    async def _learn(self, conids: list[int]) -> dict[int, Contract]:
        found = await self._definitions.get(conids)
        _remember(self._known, found)
        return found

    async def _ask_definitions(self, conids: list[int]) -> dict[int, Contract]:
        rows = await lookups.definitions(self._guard, conids)
        return {contract.conid: contract for contract in map(_contract, rows)}


def _remember(memory: dict[K, V], more: dict[K, V]) -> None:
    if len(memory) > _MOST_REMEMBERED:
        memory.clear()
    memory.update(more)


def _contract(row: dict[str, Any]) -> Contract:
    """A row of ``/trsrv/secdef``."""
    kind, ticker, currency = (str(row.get(name) or "") for name in ("assetClass", "ticker", "currency"))
    expiry, strike = str(row.get("expiry") or ""), figure(row.get("strike"))
    match kind:
        case "OPT" | "FOP" | "WAR":
            symbol = f"{ticker} {expiry} {row.get('putOrCall') or '?'} {strike}"
        case "FUT":
            symbol = f"{ticker} {expiry}"
        case "CASH":
            symbol = f"{ticker}.{currency}"
        case _:
            symbol = ticker
    return Contract(
        conid=int(row["conid"]),
        symbol=symbol,
        kind=kind,
        exchange=str(row.get("listingExchange") or ""),
        currency=currency,
        name=untrusted(pick(row, "name", "fullName"), 80),
        root=ticker,
        underlying=int(row.get("undConid") or 0),
    )


def _as_asked(contract: Contract, want: Wanted) -> Contract:
    return replace(contract, asked_exchange=want.exchange) if isinstance(want, Conid) and want.exchange else contract


def _while_searching(text: str, error: IbError) -> IbError:
    """No stock has the symbol, and the reason why nothing else could be searched."""
    if isinstance(error, InvalidRequest):
        return error
    error.message = f"No stock is called {text[:40]!r}, and other instruments could not be searched. {error.message}"
    return error
