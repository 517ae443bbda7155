"""Reading from IBKR: cached responses, shared calls, and what must be asked before so that the answer is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ib_keepalive.guard.reads.cache import Cache, CachedResponse
from ib_keepalive.guard.reads.single_flight import SingleFlight
from ib_keepalive.guard.reads.warm_up import AGAIN_S, is_cold, retry_in_s, underlying_symbols, warms_alone
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import SharedCall
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import PreflightMissing, read_response
from ib_keepalive.upstream.session_memory import SessionMemory
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamError, UpstreamUnreachable
from ibkr.operation import Operation

_ACCOUNTS = "list_brokerage_accounts"
_SEARCHES = frozenset({"search_contracts", "search_contracts_by_body"})
_RARE_S = 60.0


class Reader:
    """Everything that reads, except price snapshots. ``probe_soon`` is called when IBKR denies the keeper's state."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        memory: SessionMemory,
        probe_soon: Callable[[], None],
    ) -> None:
        self._catalogue = catalogue
        self._client = client
        self._memory = memory
        self._probe_soon = probe_soon
        self._cache = Cache()
        self._calls: SingleFlight[CachedResponse] = SingleFlight(pacer.too_late)

    @property
    def under_way(self) -> int:
        """Requests under way."""
        return len(self._calls)

    async def close(self) -> None:
        await self._calls.close()

    def change_session(self) -> None:
        """Another session began: keep only what may be asked for so rarely that it is worth more than its age."""
        self._cache.forget(lambda endpoint: not _is_rare(endpoint))

    def cached(self, request: ApiRequest, now: float) -> CachedResponse | None:
        """A fresh answer from before."""
        return self._cache.get(request.key, now)

    async def read(self, request: ApiRequest, caller: str, deadline: Deadline) -> tuple[CachedResponse, str]:
        """The answer and its source (``cache``, ``upstream`` or ``coalesced``); every failure is an IbError."""
        cached = self.cached(request, asyncio.get_running_loop().time())
        if cached is not None:
            return cached, "cache"
        cached, joined = await self._calls.ask(
            (self._memory.generation, request.key),
            request.endpoint.id,
            caller,
            deadline,
            lambda call: self._fetch(call, request),
        )
        return cached, "coalesced" if joined else "upstream"

    async def prepare(self, endpoint: Operation, caller: str, deadline: Deadline) -> None:
        """Make the calls that IBKR wants once a session before ``endpoint``, unless they need arguments."""
        for operation in endpoint.preflight:
            row = self._catalogue[operation]
            if operation not in self._memory.called and row.effect == "read" and not row.needs_arguments:
                await self._ask(operation, {}, caller, deadline)

    async def prepare_again(self, caller: str, deadline: Deadline) -> None:
        """IBKR forgot that its accounts were asked for: ask again."""
        self._memory.called.discard(_ACCOUNTS)
        self._cache.forget(lambda endpoint: endpoint.id == _ACCOUNTS)
        await self._ask(_ACCOUNTS, {}, caller, deadline)

    async def seed(
        self, conids: Iterable[str], caller: str, deadline: Deadline, *, only_derivatives: bool = False
    ) -> None:
        """Search the contracts of ``conids`` by symbol, once a session: their derivatives stay empty without it.

        ``only_derivatives``: search the underlyings of those that are derivatives themselves.
        """
        done = self._memory.traced if only_derivatives else self._memory.searched
        unknown = [conid for conid in conids if conid not in done]
        if not unknown:
            return
        try:
            body = await self._ask("get_security_definitions", {"conids": ",".join(unknown)}, caller, deadline)
            for symbol in underlying_symbols(body, only_derivatives=only_derivatives):
                await self._ask("search_contracts", {"symbol": symbol}, caller, deadline)
        except UpstreamError:
            # Without it the answer may be empty, but it is still IBKR's.
            return
        done.update(unknown)

    async def _ask(self, operation: str, query: dict[str, str], caller: str, deadline: Deadline) -> Any:
        row = self._catalogue[operation]
        body = None if row.method == "GET" else b"{}"
        cached, _ = await self.read(ApiRequest(row, row.path, tuple(sorted(query.items())), body), caller, deadline)
        return cached.body()

    async def _fetch(self, call: SharedCall, request: ApiRequest) -> CachedResponse:
        endpoint, generation = request.endpoint, self._memory.generation
        await self.prepare(endpoint, call.caller, call.deadline)
        if "search_contracts" in endpoint.preflight and (conid := request.argument("conid")):
            await self.seed([conid], call.caller, call.deadline)
        asked = request
        if endpoint.id == "list_live_orders" and request.argument("force") == "true":
            # IBKR drops its copy and answers nothing; the orders come with the next call.
            await self._send(call, request, request.key)
            asked = request.without("force")
        status, content, body = await self._send(call, asked, request.key)
        cached = CachedResponse(endpoint, content, status, asyncio.get_running_loop().time())
        if self._memory.generation == generation:
            if endpoint.id in _SEARCHES and isinstance(body, list) and not _is_by_name(request):
                self._memory.note_search(body)
            self._cache.put(request.key, cached)
        return cached

    async def _send(self, call: SharedCall, request: ApiRequest, name: Hashable) -> tuple[int, bytes, Any]:
        endpoint, memory = request.endpoint, self._memory
        warm_key: Hashable = request.key if warms_alone(endpoint) else endpoint.id
        tries = 0
        failed: IbError | None = None
        while True:
            tries += 1
            try:
                response = await self._client.send(call, name, lambda: request)
                body = read_response(response)
            except IbError as error:
                if failed is not None and isinstance(error, PacingLimited):
                    # There is no room for another try, so that the first one counts.
                    raise failed from None
                failed = error
                wait_s = await self._recover(call, endpoint, error, tries, is_warm=warm_key in memory.warm)
            else:
                memory.called.add(endpoint.id)
                if warm_key in memory.warm or not is_cold(request, body):
                    memory.warm_up(warm_key)
                    return response.status, response.content, body
                memory.warm_up(warm_key)
                failed, wait_s = None, AGAIN_S
            await asyncio.sleep(wait_s)

    async def _recover(
        self, call: SharedCall, endpoint: Operation, error: IbError, tries: int, *, is_warm: bool
    ) -> float:
        """Seconds until the next try; raises ``error`` when there is none."""
        if isinstance(error, (LoginRequired, SessionReopening, UpstreamUnreachable)):
            self._probe_soon()
        if isinstance(error, PreflightMissing) and tries < 2 and endpoint.id != _ACCOUNTS:
            await self.prepare_again(call.caller, call.deadline)
            return 0.0
        wait_s = retry_in_s(endpoint, error, tries, is_warm=is_warm)
        if wait_s is None or asyncio.get_running_loop().time() + wait_s > call.deadline.turn_by:
            raise error
        return wait_s


def _is_by_name(request: ApiRequest) -> bool:
    """Whether it is a contract search that IBKR does not count as one for the derivatives."""
    return request.argument("name") == "true" or b'"name":true' in (request.body or b"")


def _is_rare(endpoint: Operation) -> bool:
    return endpoint.pacing is not None and endpoint.pacing.seconds >= _RARE_S
