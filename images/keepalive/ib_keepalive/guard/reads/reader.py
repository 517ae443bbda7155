"""Reading from IBKR: kept answers, shared flights, and what must be asked before so that the answer is a true one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ib_keepalive.guard.reads.cache import Cache, Kept
from ib_keepalive.guard.reads.warm_up import AGAIN_S, is_cold, retry_in_s, underlying_symbols, warms_alone
from ib_keepalive.pacing.deadline import Patience
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Flight, Flights
from ib_keepalive.upstream.api_request import Question
from ib_keepalive.upstream.paced_client import Sender
from ib_keepalive.upstream.response import PreflightMissing, read_response
from ib_keepalive.upstream.session_memory import Memory
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamError, UpstreamUnreachable
from ibkr.operation import Operation

_ACCOUNTS = "list_brokerage_accounts"
_SEARCHES = frozenset({"search_contracts", "search_contracts_by_body"})
_RARE_S = 60.0


class Reads:
    """Everything that reads, except price snapshots. ``doubt`` is called when IBKR denies the keeper's state."""

    def __init__(
        self, catalogue: Catalogue, sender: Sender, pacer: Pacer, memory: Memory, doubt: Callable[[], None]
    ) -> None:
        self._catalogue = catalogue
        self._sender = sender
        self._memory = memory
        self._doubt = doubt
        self._cache = Cache()
        self._flights: Flights[Kept] = Flights(pacer.too_late)

    @property
    def flying(self) -> int:
        """Questions under way."""
        return len(self._flights)

    async def close(self) -> None:
        await self._flights.close()

    def change_session(self) -> None:
        """Another session began: keep only what may be asked for so rarely that it is worth more than its age."""
        self._cache.forget(lambda endpoint: not _is_rare(endpoint))

    def kept(self, question: Question, now: float) -> Kept | None:
        """A fresh answer from before."""
        return self._cache.get(question.key, now)

    async def read(self, question: Question, caller: str, patience: Patience) -> tuple[Kept, str]:
        """The answer and its source (``cache``, ``upstream`` or ``coalesced``); every failure is an IbError."""
        kept = self.kept(question, asyncio.get_running_loop().time())
        if kept is not None:
            return kept, "cache"
        kept, joined = await self._flights.ask(
            (self._memory.epoch, question.key),
            question.endpoint.id,
            caller,
            patience,
            lambda flight: self._fetch(flight, question),
        )
        return kept, "coalesced" if joined else "upstream"

    async def prepare(self, endpoint: Operation, caller: str, patience: Patience) -> None:
        """Make the calls that IBKR wants once a session before ``endpoint``, unless they need arguments."""
        for operation in endpoint.preflight:
            row = self._catalogue[operation]
            if operation not in self._memory.called and row.effect == "read" and not row.needs_arguments:
                await self._ask(operation, {}, caller, patience)

    async def prepare_again(self, caller: str, patience: Patience) -> None:
        """IBKR forgot that its accounts were asked for: ask again."""
        self._memory.called.discard(_ACCOUNTS)
        self._cache.forget(lambda endpoint: endpoint.id == _ACCOUNTS)
        await self._ask(_ACCOUNTS, {}, caller, patience)

    async def seed(
        self, conids: Iterable[str], caller: str, patience: Patience, *, only_derivatives: bool = False
    ) -> None:
        """Search the contracts of ``conids`` by symbol, once a session: their derivatives stay empty without it.

        ``only_derivatives``: search the underlyings of those that are derivatives themselves.
        """
        done = self._memory.traced if only_derivatives else self._memory.searched
        unknown = [conid for conid in conids if conid not in done]
        if not unknown:
            return
        try:
            body = await self._ask("get_security_definitions", {"conids": ",".join(unknown)}, caller, patience)
            for symbol in underlying_symbols(body, only_derivatives=only_derivatives):
                await self._ask("search_contracts", {"symbol": symbol}, caller, patience)
        except UpstreamError:
            # Without it the answer may be empty, but it is still IBKR's.
            return
        done.update(unknown)

    async def _ask(self, operation: str, query: dict[str, str], caller: str, patience: Patience) -> Any:
        row = self._catalogue[operation]
        body = None if row.method == "GET" else b"{}"
        kept, _ = await self.read(Question(row, row.path, tuple(sorted(query.items())), body), caller, patience)
        return kept.body()

    async def _fetch(self, flight: Flight, question: Question) -> Kept:
        endpoint, epoch = question.endpoint, self._memory.epoch
        await self.prepare(endpoint, flight.caller, flight.patience)
        if "search_contracts" in endpoint.preflight and (conid := question.argument("conid")):
            await self.seed([conid], flight.caller, flight.patience)
        asked = question
        if endpoint.id == "list_live_orders" and question.argument("force") == "true":
            # IBKR drops its copy and answers nothing; the orders come with the next call.
            await self._send(flight, question, question.key)
            asked = question.without("force")
        status, content, body = await self._send(flight, asked, question.key)
        kept = Kept(endpoint, content, status, asyncio.get_running_loop().time())
        if self._memory.epoch == epoch:
            if endpoint.id in _SEARCHES and isinstance(body, list) and not _is_by_name(question):
                self._memory.note_search(body)
            self._cache.put(question.key, kept)
        return kept

    async def _send(self, flight: Flight, question: Question, name: Hashable) -> tuple[int, bytes, Any]:
        endpoint, memory = question.endpoint, self._memory
        warm_key: Hashable = question.key if warms_alone(endpoint) else endpoint.id
        tries = 0
        failed: IbError | None = None
        while True:
            tries += 1
            try:
                response = await self._sender.send(flight, name, lambda: question)
                body = read_response(response)
            except IbError as error:
                if failed is not None and isinstance(error, PacingLimited):
                    # There is no room for another try, so that the first one counts.
                    raise failed from None
                failed = error
                wait_s = await self._recover(flight, endpoint, error, tries, is_warm=warm_key in memory.warm)
            else:
                memory.called.add(endpoint.id)
                if warm_key in memory.warm or not is_cold(question, body):
                    memory.warm_up(warm_key)
                    return response.status, response.content, body
                memory.warm_up(warm_key)
                failed, wait_s = None, AGAIN_S
            await asyncio.sleep(wait_s)

    async def _recover(
        self, flight: Flight, endpoint: Operation, error: IbError, tries: int, *, is_warm: bool
    ) -> float:
        """Seconds until the next try; raises ``error`` when there is none."""
        if isinstance(error, (LoginRequired, SessionReopening, UpstreamUnreachable)):
            self._doubt()
        if isinstance(error, PreflightMissing) and tries < 2 and endpoint.id != _ACCOUNTS:
            await self.prepare_again(flight.caller, flight.patience)
            return 0.0
        wait_s = retry_in_s(endpoint, error, tries, is_warm=is_warm)
        if wait_s is None or asyncio.get_running_loop().time() + wait_s > flight.patience.turn_by:
            raise error
        return wait_s


def _is_by_name(question: Question) -> bool:
    """Whether it is a contract search that IBKR does not count as one for the derivatives."""
    return question.argument("name") == "true" or b'"name":true' in (question.body or b"")


def _is_rare(endpoint: Operation) -> bool:
    return endpoint.pacing is not None and endpoint.pacing.seconds >= _RARE_S
