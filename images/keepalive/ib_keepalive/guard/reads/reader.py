"""Reading from IBKR: cached responses, shared calls, and what must be asked before so that the answer is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ib_keepalive.guard.memory.cache import CachedResponse
from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.single_flight import SingleFlight
from ib_keepalive.guard.reads.warm_up import AGAIN_S, is_cold, is_empty, retry_in_s, underlying_symbols
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import SharedCall, Waiter
from ib_keepalive.session.sign_in import LISTS_OF_ACCOUNTS
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import PreflightMissing, read_response
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamError, UpstreamUnreachable
from ibkr.operation import Operation

_ACCOUNTS = "list_brokerage_accounts"
_SEARCH = "search_contracts"


class Reader:
    """Everything that reads, except price snapshots.

    ``probe_soon`` is called when IBKR denies the keeper's state, ``listed`` with each list of accounts before anybody
    is given it: it may be that of another user.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        sessions: Sessions,
        probe_soon: Callable[[], None],
        listed: Callable[[str, Any], None],
    ) -> None:
        self._catalogue = catalogue
        self._client = client
        self._sessions = sessions
        self._probe_soon = probe_soon
        self._listed = listed
        self._calls: SingleFlight[CachedResponse] = SingleFlight(pacer.too_late, pacer.joined)

    @property
    def under_way(self) -> int:
        """Requests under way."""
        return len(self._calls)

    async def close(self) -> None:
        await self._calls.close()

    async def read(self, request: ApiRequest, memory: SessionMemory, waiter: Waiter) -> tuple[CachedResponse, str]:
        """The answer and its source (``cache``, ``upstream`` or ``coalesced``); every failure is an IbError.

        SessionChanged when another session began meanwhile.
        """
        cached = memory.cache.get(request.key, asyncio.get_running_loop().time())
        if cached is not None:
            return cached, "cache"
        cached, joined = await self._calls.ask(
            (memory.generation, memory.edits(request.endpoint), request.key),
            request.endpoint.id,
            waiter,
            lambda call: self._fetch(call, request, memory),
        )
        return cached, "coalesced" if joined else "upstream"

    async def prepare(self, endpoint: Operation, memory: SessionMemory, waiter: Waiter) -> None:
        """Make the calls that IBKR wants once a session before ``endpoint``, unless they need arguments."""
        for operation in endpoint.preflight:
            row = self._catalogue[operation]
            if operation not in memory.called and row.effect == "read" and not row.needs_arguments:
                await self._ask(operation, {}, memory, waiter)

    async def prepare_again(self, memory: SessionMemory, waiter: Waiter, since: float) -> None:
        """IBKR forgot that its accounts were asked for: ask again, unless that was done after ``since``."""
        if memory.called.get(_ACCOUNTS, since) <= since:
            memory.called.pop(_ACCOUNTS, None)
            memory.cache.forget(_ACCOUNTS)
            await self._ask(_ACCOUNTS, {}, memory, waiter)

    async def seed(
        self, conids: Iterable[str], memory: SessionMemory, waiter: Waiter, *, only_derivatives: bool = False
    ) -> UpstreamError | None:
        """Search the contracts of ``conids`` by symbol, once a session: their derivatives stay empty without it.

        ``only_derivatives``: search the underlyings of those that are derivatives themselves. The error that came in
        between, if one did.
        """
        done = memory.traced if only_derivatives else memory.searched
        unknown = [conid for conid in conids if conid not in done]
        if not unknown:
            return None
        try:
            body = await self._ask("get_security_definitions", {"conids": ",".join(unknown)}, memory, waiter)
            for symbol in underlying_symbols(body, only_derivatives=only_derivatives):
                await self._ask(_SEARCH, {"symbol": symbol}, memory, waiter)
        except UpstreamError as error:
            return error
        done.update(unknown)
        return None

    async def _ask(self, operation: str, query: dict[str, str], memory: SessionMemory, waiter: Waiter) -> Any:
        row = self._catalogue[operation]
        body = None if row.method == "GET" else b"{}"
        request = ApiRequest(row, row.path, tuple(sorted(query.items())), body)
        cached, _ = await self.read(request, memory, waiter)
        return cached.body()

    async def _fetch(self, call: SharedCall, request: ApiRequest, memory: SessionMemory) -> CachedResponse:
        endpoint = request.endpoint
        edits = memory.edits(endpoint)
        unprepared = await self._prepare_all(call, request, memory)
        asked = request
        if endpoint.emptied_by and request.argument(endpoint.emptied_by) == "true":
            # IBKR drops its copy and answers nothing; the next call has the answer.
            await self._send(call, request, memory, request.key)
            asked = request.without(endpoint.emptied_by)
        status, content, body = await self._send(call, asked, memory, request.key)
        cached = CachedResponse(endpoint, content, status, asyncio.get_running_loop().time(), is_empty(body))
        if unprepared is not None:
            # With what it lacked it would perhaps not be empty, so that is no answer, and nothing to keep.
            if cached.is_empty:
                raise unprepared
            return cached
        if endpoint.path == self._catalogue[_SEARCH].path and isinstance(body, list) and not _is_by_name(request):
            memory.note_search(body)
        if memory.edits(endpoint) == edits:
            memory.cache.put(request.key, cached)
        return cached

    async def _prepare_all(self, call: SharedCall, request: ApiRequest, memory: SessionMemory) -> IbError | None:
        """Make what IBKR wants before ``request``; why it may not have been enough."""
        endpoint = request.endpoint
        await self.prepare(endpoint, memory, call)
        if _SEARCH in endpoint.preflight and (conid := request.argument("conid")):
            failed = await self.seed([conid], memory, call)
            if failed is not None:
                return failed
        for operation in endpoint.preflight:
            row = self._catalogue[operation]
            if operation not in memory.called and row.effect == "read" and not row.needs_arguments:
                return SessionReopening("IBKR has not loaded the accounts of this sign-in yet.", retry_after_s=3)
        return None

    async def _send(
        self, call: SharedCall, request: ApiRequest, memory: SessionMemory, name: Hashable
    ) -> tuple[int, bytes, Any]:
        endpoint = request.endpoint
        warm_key: Hashable = request.key if endpoint.cold else endpoint.id

        def in_turn() -> ApiRequest:
            self._sessions.check(memory)
            return request

        tries = 0
        failed: IbError | None = None
        while True:
            tries += 1
            try:
                response = await self._client.send(call, name, in_turn)
                self._sessions.check(memory)
                body, content = read_response(response)
                if endpoint.id in LISTS_OF_ACCOUNTS:
                    self._listed(endpoint.id, body)
                    self._sessions.check(memory)
            except IbError as error:
                if failed is not None and isinstance(error, PacingLimited):
                    # There is no room for another try, so that the first one counts.
                    raise failed from None
                self._sessions.check(memory)
                failed = error
                is_warm = warm_key in memory.warm
                wait_s = await self._recover(call, endpoint, memory, error, tries, is_warm=is_warm)
            else:
                if not is_empty(body):
                    memory.called[endpoint.id] = asyncio.get_running_loop().time()
                if warm_key in memory.warm or not is_cold(endpoint, body):
                    memory.warm_up(warm_key)
                    return response.status, content, body
                memory.warm_up(warm_key)
                failed, wait_s = None, AGAIN_S
            await asyncio.sleep(wait_s)

    async def _recover(
        self,
        call: SharedCall,
        endpoint: Operation,
        memory: SessionMemory,
        error: IbError,
        tries: int,
        *,
        is_warm: bool,
    ) -> float:
        """Seconds until the next try; raises ``error`` when there is none."""
        now = asyncio.get_running_loop().time()
        if isinstance(error, (LoginRequired, SessionReopening, UpstreamUnreachable)):
            self._probe_soon()
        if isinstance(error, PreflightMissing) and tries < 2 and endpoint.id != _ACCOUNTS:
            await self.prepare_again(memory, call, now)
            return 0.0
        wait_s = retry_in_s(endpoint, error, tries, is_warm=is_warm)
        if wait_s is None or now + wait_s > call.turn_by:
            raise error
        return wait_s


def _is_by_name(request: ApiRequest) -> bool:
    """Whether it is a contract search that IBKR does not count as one for the derivatives."""
    return request.argument("name") == "true" or b'"name":true' in (request.body or b"")
