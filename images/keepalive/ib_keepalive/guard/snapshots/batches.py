"""Snapshot requests that several callers share: gathered until their turn comes, split when one of them spoils it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ib_keepalive.guard.reads.warm_up import retry_in_s
from ib_keepalive.guard.snapshots.market_data_lines import MarketDataLines
from ib_keepalive.guard.snapshots.rows import Rows
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, SharedCall, wait_for
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import FinalAnswer, PreflightMissing, read_response
from ib_keepalive.upstream.session_memory import SessionMemory
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, SessionReopening, UpstreamError, UpstreamUnreachable

OPERATION = "get_price_snapshot"
_MOST_CONIDS, _MOST_FIELDS = 100, 50
# More lines than these are given up all at once.
_ONE_BY_ONE = 10
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
    """One caller's part of a round; ``done`` brings how many callers shared it."""

    conids: tuple[str, ...]
    fields: tuple[str, ...]
    done: asyncio.Future[int]
    is_gone: bool = False


@dataclass(eq=False, slots=True)
class _Batch:
    """One request. ``alone``: not to be shared, because it may spoil the others."""

    call: SharedCall
    alone: bool
    needs: list[_Need] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    splits: int = _SPLITS

    def has_room(self, conids: Iterable[str], fields: Iterable[str]) -> bool:
        return (
            not self.alone
            and len({*self.conids(), *conids}) <= _MOST_CONIDS
            and len({*self.fields(), *fields}) <= _MOST_FIELDS
        )

    def conids(self) -> dict[str, None]:
        return {conid: None for need in self.needs if not need.is_gone for conid in need.conids}

    def fields(self) -> dict[str, None]:
        return {name: None for need in self.needs if not need.is_gone for name in need.fields}


class SnapshotBatches:
    """Sends the snapshot requests and fills ``rows``. ``probe_soon`` is called when IBKR denies the keeper's state."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: PacedClient,
        pacer: Pacer,
        memory: SessionMemory,
        rows: Rows,
        probe_soon: Callable[[], None],
    ) -> None:
        self._catalogue = catalogue
        self._client = client
        self._pacer = pacer
        self._memory = memory
        self._rows = rows
        self._probe_soon = probe_soon
        self._open: list[_Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: tuple[str, float] = ("", float("-inf"))
        self._lines = MarketDataLines()
        self._rejected_conids: set[str] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """End all batches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def change_session(self) -> None:
        self._open.clear()
        self._lines.clear()
        self._rejected_conids.clear()

    async def fetch(self, conids: tuple[str, ...], fields: tuple[str, ...], caller: str, deadline: Deadline) -> int:
        """Read these into the rows, together with what others want now; returns how many callers shared it."""
        need = _Need(conids, fields, asyncio.get_running_loop().create_future())
        batch = self._find(conids, fields) or self._launch(conids, caller, deadline)
        batch.needs.append(need)
        batch.call.deadline.extend(deadline)
        batch.call.asking += 1
        try:
            return int(await wait_for(need.done, batch.call, deadline, self._pacer.too_late))
        finally:
            need.is_gone = True
            batch.call.asking -= 1
            if not batch.call.asking and not batch.call.is_sent and batch.task is not None:
                self._close_to_others(batch)
                batch.task.cancel()

    def _find(self, conids: tuple[str, ...], fields: tuple[str, ...]) -> _Batch | None:
        if not self._rejected_conids.isdisjoint(conids):
            return None
        return next((each for each in self._open if each.has_room(conids, fields)), None)

    def _launch(self, conids: tuple[str, ...], caller: str, deadline: Deadline) -> _Batch:
        call = SharedCall(OPERATION, caller, Deadline(deadline.turn_by, deadline.answer_by))
        made = _Batch(call, alone=not self._rejected_conids.isdisjoint(conids))
        made.task = asyncio.create_task(self._run(made), name="snapshot round")
        self._open.append(made)
        self._tasks.add(made.task)
        made.task.add_done_callback(self._tasks.discard)
        return made

    async def _run(self, batch: _Batch) -> None:
        now = asyncio.get_running_loop().time()
        caller, last = self._last
        self._last = (batch.call.caller, now)
        errors: dict[str, IbError] = {}
        failure: IbError | None = UpstreamUnreachable("The guard is stopping.")
        try:
            if caller != batch.call.caller and now - last < _LATELY_S:
                await asyncio.sleep(_GATHER_S)
            await self._make_room(batch)
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
        """Read ``conids``, or all that the round has when its turn comes; returns the errors by conid."""
        row = self._catalogue[OPERATION]
        asked: tuple[tuple[str, ...], tuple[str, ...]] | None = None

        def request() -> ApiRequest:
            nonlocal asked
            if asked is None:
                self._close_to_others(batch)
                names = batch.fields()
                if len(names) < _MOST_FIELDS:
                    names[_AVAILABILITY] = None
                asked = conids or tuple(batch.conids()), tuple(names)
            return ApiRequest(row, row.path, (("conids", ",".join(asked[0])), ("fields", ",".join(asked[1]))))

        generation = self._memory.generation
        refused: UpstreamError | None = None
        body: list[object] = []
        try:
            body = await self._send(batch, request)
        except UpstreamError as error:
            if not _blames_instruments(error):
                raise
            refused = error
        if asked is None:
            raise Abandoned
        instruments, fields = asked
        self._lines.hold(instruments)
        if refused is None:
            if self._memory.generation == generation:
                self._rows.take(instruments, fields, body, asyncio.get_running_loop().time())
            return {}
        if len(instruments) == 1:
            self._rejected_conids.update(instruments)
        if len(instruments) == 1 or batch.call.asking == 1 or not batch.splits:
            return dict.fromkeys(instruments, refused)
        batch.splits -= 1
        half = len(instruments) // 2
        return await self._ask(batch, instruments[:half]) | await self._ask(batch, instruments[half:])

    async def _send(self, batch: _Batch, request: Callable[[], ApiRequest]) -> list[object]:
        tries = 0
        while True:
            tries += 1
            try:
                body = read_response(await self._client.send(batch.call, batch, request))
            except IbError as error:
                wait_s = retry_in_s(self._catalogue[OPERATION], error, tries, is_warm=True)
                now = asyncio.get_running_loop().time()
                if wait_s is None or now + wait_s > batch.call.deadline.turn_by:
                    raise
                await asyncio.sleep(wait_s)
                continue
            if not isinstance(body, list):
                raise UpstreamError("IBKR answered a price snapshot without rows.")
            return body

    async def _make_room(self, batch: _Batch) -> None:
        """Give up lines that nobody asked for longest, when this round needs more than IBKR has."""
        excess = self._lines.excess(batch.conids())
        if len(excess) > _ONE_BY_ONE:
            await self._give_up(batch, "unsubscribe_all_market_data", None)
            gone = self._lines.give_up_all()
        else:
            gone = []
            for conid in excess:
                number = int(conid.partition("@")[0])
                await self._give_up(batch, "unsubscribe_market_data", b'{"conid":%d}' % number)
                gone += self._lines.give_up(conid)
        for conid in gone:
            self._rows.renew(conid)

    async def _give_up(self, batch: _Batch, operation: str, body: bytes | None) -> None:
        row = self._catalogue[operation]
        call = SharedCall(operation, batch.call.caller, batch.call.deadline, asking=1)
        try:
            read_response(await self._client.send(call, body, lambda: ApiRequest(row, row.path, (), body)))
        except UpstreamError:
            # IBKR does not know the line any more.
            return

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
