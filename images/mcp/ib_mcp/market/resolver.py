"""From what an agent calls an instrument to IBKR's conid, and from a conid to its description and name.

A name is looked up in the portal's stock list first, which needs no brokerage session. Of several stocks with a symbol
the one is meant that (1) is listed on the exchange given with ``@``; else (2) is the only one; else (3) is the only one
listed in the US; else (4) is the only one on a main US exchange. Whatever stays ambiguous is answered with the choices.
Well-known indices and coins come before shares of the same letters; a symbol that no stock has may be an index, a fund
or a coin: those are searched in the brokerage session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ib_mcp.gather import gather
from ib_mcp.guard.batching import Batch
from ib_mcp.guard.client import Guard
from ib_mcp.market import lookups, naming, option_lookups
from ib_mcp.market.choices import Ambiguous, NotFound
from ib_mcp.market.contract import Contract, class_in, contract_month, from_definition, undescribed
from ib_mcp.market.finder import Finder, Found, Listed, tickers_of
from ib_mcp.market.notation import parse
from ib_mcp.market.sessions import Sessions
from ib_mcp.market.units import Units
from ib_mcp.market.wanted import Conid, Identifier, Number, Option, Stock, Wanted
from ibkr.errors import IbError, InvalidRequest

_MOST_REMEMBERED = 20_000
# IBKR renames tickers, and lists a second expiry in a month that had one.
_FORGET_EVERY_S = 3600.0
_MOST_NEAR = 6
# Looking for near names costs questions, so only the first wrong ones get them.
_MOST_HELPED = 3

K = TypeVar("K")
V = TypeVar("V")


class Contracts:
    """Looks instruments up and remembers them for an hour at most."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._finder = Finder(guard, self)
        self.units = Units(guard)
        self.sessions = Sessions(guard)
        self._listings = Batch(partial(lookups.stocks, guard), lookups.MOST_SYMBOLS)
        self._definitions = Batch(self._ask_definitions, lookups.MOST_DEFINITIONS)
        self._found: dict[str, Found] = {}
        self._known: dict[int, Contract] = {}
        self._forget_at = float("-inf")
        self._classes: dict[int, str] = {}
        self._words: dict[int, str] = {}

    async def resolve(self, text: str) -> Contract:
        """The instrument that ``text`` names. NotFound when there is none, Ambiguous when there are several."""
        return (await self.resolve_all([text]))[0]

    async def resolve_all(self, texts: Sequence[str]) -> list[Contract]:
        """As ``resolve`` for each, with as few questions to IBKR as possible; the first refusal is raised."""
        found, refused = await self.resolve_each(texts)
        for text in texts:
            if text in refused:
                raise refused[text]
        return [found[text] for text in texts]

    async def resolve_each(self, texts: Iterable[str]) -> tuple[dict[str, Contract], dict[str, IbError]]:
        """The instruments by what they were called, and why the others have none: one wrong name spoils nothing."""
        self._forget_old()
        wanted: dict[str, tuple[Wanted, ...]] = {}
        refused: dict[str, IbError] = {}
        for text in dict.fromkeys(texts):
            try:
                wanted[text] = parse(text)
            except InvalidRequest as error:
                refused[text] = error
        found = {text: self._found[text] for text in wanted if text in self._found}
        new = {text: read for text, read in wanted.items() if text not in found}
        listed = await self._listings.get(set(_tickers(new.values())))
        helped = set(list(new)[:_MOST_HELPED])

        async def find(text: str) -> None:
            try:
                found[text] = await self._find(text, new[text], listed, helps=text in helped)
            except IbError as error:
                refused[text] = error

        await gather(map(find, new))
        _remember(self._found, {text: found[text] for text in new if text in found and found[text].lasting})
        known = await self.known(place.conids[0] for place in found.values())
        contracts = {
            text: _as_asked(_beside(known[found[text].conids[0]], found[text].also), wanted[text][0])
            for text in wanted
            if text in found and found[text].conids[0] in known
        }
        for text in found.keys() - contracts.keys():
            refused[text] = NotFound(f"There is no instrument {text[:60]!r}.", [], lookups.LOOK_UP)
        return contracts, refused

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

    async def named(self, texts: Mapping[Any, Any]) -> dict[str, Contract]:
        """Contracts by conid as text, with names that tell them apart in one answer.

        ``texts`` are IBKR's own words by conid (number or text): what cannot be described is called by them.
        """
        words = {int(conid): str(text or "") for conid, text in texts.items() if str(conid).isdecimal()}
        self._learn_words(words)
        try:
            known = await self.known(words)
        except IbError:
            known = {}
        contracts = [known.get(conid) or undescribed(conid, text) for conid, text in words.items()]
        return {str(contract.conid): contract for contract in naming.distinct(contracts)}

    async def symbols(self, conids: Iterable[Any]) -> dict[str, str]:
        """Names by conid (as text); those are missing that IBKR does not describe."""
        found = await self.named(dict.fromkeys(conids, ""))
        return {conid: contract.symbol for conid, contract in found.items() if contract.kind}

    def learn_classes(self, rows: Iterable[dict[str, Any]]) -> None:
        """Trading classes from rows of options: only there IBKR tells them by themselves."""
        classes = {int(row["conid"]): str(row["tradingClass"]).upper() for row in rows if row.get("tradingClass")}
        for conid, known in classes.items():
            if self._classes.get(conid) != known:
                self._known.pop(conid, None)
        _remember(self._classes, classes)

    def _learn_words(self, words: Mapping[int, str]) -> None:
        """Class and contract month from IBKR's descriptions, where a definition did not tell them."""
        for conid, text in words.items():
            known = self._known.get(conid)
            tells = known is not None and (
                (known.kind == "FUT" and not known.month and contract_month(text, known.expiry))
                or (known.is_option and not known.trading_class and class_in(text))
            )
            if tells:
                del self._known[conid]
        _remember(self._words, {conid: text for conid, text in words.items() if conid not in self._known})

    async def near(self, text: str) -> list[Contract]:
        """Instruments whose symbol or name is like ``text``, for who asked for something that does not exist."""
        words = text.split("@")[0].strip().lstrip("^$/")
        try:
            rows = await lookups.matches(self._guard, symbol=words.upper())
            rows += await lookups.matches(self._guard, symbol=words, name=True)
            known = await self.known(int(row["conid"]) for row in rows[:_MOST_NEAR])
        except IbError:
            return []
        return list(known.values())

    async def _find(self, text: str, readings: tuple[Wanted, ...], listed: Listed, *, helps: bool) -> Found:
        """What the first reading means under which IBKR lists something."""
        for want in readings:
            try:
                found = await self._finder.find(want, listed)
            except InvalidRequest:
                raise
            except IbError as error:
                raise _while_looking(text, error) from error
            if len(found.conids) > 1:
                known = await self.known(found.conids)
                raise Ambiguous(f"{text[:60]!r} fits several instruments.", list(known.values()), text)
            if found.conids:
                return found
        last = readings[-1]
        if isinstance(last, Identifier):
            raise NotFound(
                f"IBKR's Web API finds nothing by the ISIN or CUSIP {last.code}.",
                [],
                "Search by symbol or company name with search_contracts.",
            )
        if isinstance(last, Conid):
            told = f"IBKR describes no instrument with the conid {last.conid}; it may have expired."
            raise NotFound(told, [], lookups.LOOK_UP)
        near = await self.near(text) if helps and not isinstance(last, Option) else []
        look_up = option_lookups.LOOK_UP if isinstance(last, Option) else lookups.LOOK_UP
        raise NotFound(f"There is no instrument {text[:60]!r}.", near, look_up)

    def _forget_old(self) -> None:
        """Ask IBKR anew what names mean, once an hour."""
        now = asyncio.get_running_loop().time()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY_S
            self._found.clear()
            self._known.clear()

    async def _learn(self, conids: list[int]) -> dict[int, Contract]:
        found = await self._definitions.get(conids)
        underlying = await self.known(naming.underlyings(found.values())) if found else {}
        named = naming.all_named(found, underlying)
        _remember(self._known, named)
        return named

    def _hints(self, conid: int) -> tuple[str, str]:
        return self._classes.get(conid, ""), self._words.get(conid, "")

    async def _ask_definitions(self, conids: list[int]) -> dict[int, Contract]:
        rows = await lookups.definitions(self._guard, conids)
        contracts = (from_definition(row, *self._hints(int(row["conid"]))) for row in rows)
        return {contract.conid: contract for contract in contracts}


def _tickers(readings: Iterable[tuple[Wanted, ...]]) -> Iterable[str]:
    """The symbols of stocks that may be meant."""
    for want in (want for read in readings for want in read):
        if isinstance(want, Stock):
            yield want.symbol
        elif isinstance(want, Number):
            yield from tickers_of(want)


def _remember(memory: dict[K, V], more: dict[K, V]) -> None:
    if len(memory) > _MOST_REMEMBERED:
        memory.clear()
    memory.update(more)


def _beside(contract: Contract, also: tuple[str, ...]) -> Contract:
    """With the others that the same words could have meant."""
    return contract if contract.also == also else replace(contract, also=also)


def _as_asked(contract: Contract, want: Wanted) -> Contract:
    """With the exchange on which quotes of a conid were asked for."""
    if isinstance(want, (Conid, Number)) and want.exchange and contract.root != str(getattr(want, "digits", "")):
        return replace(contract, asked_exchange=want.exchange)
    return contract


def _while_looking(text: str, error: IbError) -> IbError:
    """``error`` with what was looked for; others may have been given the same error."""
    told = copy(error)
    told.message = f"{text[:40]!r} could not be looked up. {error.message}"
    return told
