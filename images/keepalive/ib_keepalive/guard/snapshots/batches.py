"""Snapshot requests that several callers share: gathered until their turn comes, split when one of them spoils it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.warm_up import retry_in_s
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, SharedCall, Waiter, wait_for
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import FinalAnswer, PreflightMissing, read_response
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, SessionReopening, UpstreamError, UpstreamUnreachable

OPERATION = "get_price_snapshot"
_MOST_CONIDS, _MOST_FIELDS = 100, 50
# How many more requests may find out which instruments spoil one.
_SPLITS = 16
_AVAILABILITY = "6509"
# Callers that come at the same time share a request; one alone does not wait for others.
_GATHER_S = 0.005
_LATELY_S = 0.25
# What IBKR answers when an instrument is wrong; it refuses the whole request then.
_BLAMES = frozenset({400, 404, 500})


@dataclass(eq=False, slots=True)
class _Need:
    """One caller's part of a batch; ``done`` brings how many callers shared it."""

    conids: tuple[str, ...]
    fields: tuple[str, ...]
    done: asyncio.Future[int]
    is_gone: bool = False


@dataclass(eq=False, slots=True)
class _Batch:
    """One request. ``alone``: only for those who want the same, because it may spoil the others."""

    call: SharedCall
    memory: SessionMemory
    alone: bool
    needs: list[_Need] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    splits: int = _SPLITS

    def has_room(self, conids: Iterable[str], fields: Iterable[str]) -> bool:
        own = self.conids()
        return (
            len({*own, *conids}) <= (len(own) if self.alone else _MOST_CONIDS)
            and len({*self.fields(), *fields}) <= _MOST_FIELDS
        )

    def conids(self) -> dict[str, None]:
        return {conid: None for need in self.needs if not need.is_gone for conid in need.conids}

    def fields(self) -> dict[str, None]:
        return {name: None for need in self.needs if not need.is_gone for name in need.fields}


class SnapshotBatches:
    """Sends the snapshot requests and fills the session's rows.

    ``probe_soon`` is called when IBKR denies the keeper's state.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        sessions: Sessions,
        probe_soon: Callable[[], None],
    ) -> None:
        self._operation = catalogue[OPERATION]
        self._client = client
        self._pacer = pacer
        self._sessions = sessions
        self._probe_soon = probe_soon
        self._open: list[_Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: tuple[frozenset[str], float] = (frozenset(), float("-inf"))

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """End all batches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def fetch(
        self, conids: tuple[str, ...], fields: tuple[str, ...], memory: SessionMemory, waiter: Waiter
    ) -> int:
        """Read these into the rows, together with what others want now; returns how many callers shared it."""
        need = _Need(conids, fields, asyncio.get_running_loop().create_future())
        is_alone = memory.rejected(conids, asyncio.get_running_loop().time())
        batch = next((each for each in self._open if self._fits(each, need, memory, is_alone)), None)
        is_joined = batch is not None
        if batch is None:
            batch = self._launch(memory, is_alone)
        batch.needs.append(need)
        batch.call.waiters.append(waiter)
        if is_joined:
            self._pacer.joined(waiter)
        try:
            return int(await wait_for(need.done, batch.call, waiter, self._pacer.too_late))
        finally:
            need.is_gone = True
            batch.call.waiters.remove(waiter)
            if not batch.call.waiters and not batch.call.is_sent and batch.task is not None:
                self._close_to_others(batch)
                batch.task.cancel()

    @staticmethod
    def _fits(batch: _Batch, need: _Need, memory: SessionMemory, is_alone: bool) -> bool:
        return batch.memory is memory and batch.alone is is_alone and batch.has_room(need.conids, need.fields)

    def _launch(self, memory: SessionMemory, is_alone: bool) -> _Batch:
        made = _Batch(SharedCall(OPERATION), memory, is_alone)
        made.task = asyncio.create_task(self._run(made), name="snapshot batch")
        self._open.append(made)
        self._tasks.add(made.task)
        made.task.add_done_callback(self._tasks.discard)
        return made

    async def _run(self, batch: _Batch) -> None:
        now = asyncio.get_running_loop().time()
        callers, last = self._last
        self._last = (frozenset(batch.call.callers), now)
        errors: dict[str, IbError] = {}
        failure: IbError | None = UpstreamUnreachable("The guard is stopping.")
        try:
            if not callers.issuperset(self._last[0]) and now - last < _LATELY_S:
                await asyncio.sleep(_GATHER_S)
            errors = await self._ask(batch, None)
            failure = None
        except Abandoned:
            return
        except IbError as error:
            failure = error
            if isinstance(error, (LoginRequired, SessionReopening, UpstreamUnreachable)):
                self._probe_soon()
        finally:
            self._close_to_others(batch)
            _tell(batch, errors, failure)

    async def _ask(self, batch: _Batch, conids: tuple[str, ...] | None) -> dict[str, IbError]:
        """Read ``conids``, or all that the batch has when its turn comes; returns the errors by conid."""
        memory, row = batch.memory, self._operation
        asked: tuple[tuple[str, ...], tuple[str, ...]] | None = None

        def request() -> ApiRequest:
            nonlocal asked
            self._sessions.check(memory)
            if asked is None:
                self._close_to_others(batch)
                names = batch.fields()
                if len(names) < _MOST_FIELDS:
                    names[_AVAILABILITY] = None
                asked = conids or tuple(batch.conids()), tuple(names)
            return ApiRequest(row, row.path, (("conids", ",".join(asked[0])), ("fields", ",".join(asked[1]))))

        refused: UpstreamError | None = None
        body: list[object] = []
        try:
            body = await self._send(batch, request)
        except UpstreamError as error:
            if not _blames_instruments(error):
                raise
            refused = error
        finally:
            self._sessions.check(memory)
        if asked is None:
            raise Abandoned
        instruments, fields = asked
        now = asyncio.get_running_loop().time()
        if refused is None:
            memory.accept(instruments)
            memory.rows.take(instruments, fields, body, now)
            return {}
        if len(instruments) == 1:
            memory.reject(instruments[0], now)
        if len(instruments) == 1 or len(batch.call.waiters) == 1 or not batch.splits:
            return dict.fromkeys(instruments, refused)
        batch.splits -= 1
        half = len(instruments) // 2
        return await self._ask(batch, instruments[:half]) | await self._ask(batch, instruments[half:])

    async def _send(self, batch: _Batch, request: Callable[[], ApiRequest]) -> list[object]:
        tries = 0
        while True:
            tries += 1
            try:
                body, _ = read_response(await self._client.send(batch.call, batch, request))
            except IbError as error:
                wait_s = retry_in_s(self._operation, error, tries, is_warm=True)
                now = asyncio.get_running_loop().time()
                if wait_s is None or now + wait_s > batch.call.turn_by:
                    raise
                await asyncio.sleep(wait_s)
                continue
            if not isinstance(body, list):
                raise UpstreamError("IBKR answered a price snapshot without rows.")
            return body

    def _close_to_others(self, batch: _Batch) -> None:
        if batch in self._open:
            self._open.remove(batch)


def _blames_instruments(error: UpstreamError) -> bool:
    """Whether IBKR refuses the request because of what it asks for."""
    if isinstance(error, PreflightMissing):
        return False
    return isinstance(error, FinalAnswer) or error.status in _BLAMES


def _tell(batch: _Batch, errors: dict[str, IbError], failure: IbError | None) -> None:
    """Wake the callers that still wait."""
    here = [need for need in batch.needs if not need.is_gone and not need.done.done()]
    for need in here:
        error = failure or next((errors[conid] for conid in need.conids if conid in errors), None)
        if error is None:
            need.done.set_result(len(here))
        else:
            need.done.set_exception(error)
