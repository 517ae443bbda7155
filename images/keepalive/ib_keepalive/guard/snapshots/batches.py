"""Snapshot requests that several callers share: gathered until their turn comes, split when one of them spoils it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ib_keepalive.guard.reads.warm_up import retry_in_s
from ib_keepalive.guard.snapshots.market_data_lines import Lines
from ib_keepalive.guard.snapshots.rows import Rows
from ib_keepalive.pacing.deadline import Patience
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, Flight, wait_for
from ib_keepalive.upstream.api_request import Question
from ib_keepalive.upstream.paced_client import Sender
from ib_keepalive.upstream.response import FinalAnswer, PreflightMissing, read_response
from ib_keepalive.upstream.session_memory import Memory
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
class _Round:
    """One request. ``alone``: not to be shared, because it may spoil the others."""

    flight: Flight
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


class Rounds:
    """Sends the snapshot requests and fills ``rows``. ``doubt`` is called when IBKR denies the keeper's state."""

    def __init__(
        self,
        catalogue: Catalogue,
        sender: Sender,
        pacer: Pacer,
        memory: Memory,
        rows: Rows,
        doubt: Callable[[], None],
    ) -> None:
        self._catalogue = catalogue
        self._sender = sender
        self._pacer = pacer
        self._memory = memory
        self._rows = rows
        self._doubt = doubt
        self._open: list[_Round] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: tuple[str, float] = ("", float("-inf"))
        self._lines = Lines()
        self._spoilers: set[str] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """End all rounds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def change_session(self) -> None:
        self._open.clear()
        self._lines.clear()
        self._spoilers.clear()

    async def fetch(self, conids: tuple[str, ...], fields: tuple[str, ...], caller: str, patience: Patience) -> int:
        """Read these into the rows, together with what others want now; returns how many callers shared it."""
        need = _Need(conids, fields, asyncio.get_running_loop().create_future())
        shared = self._find(conids, fields) or self._launch(conids, caller, patience)
        shared.needs.append(need)
        shared.flight.patience.extend(patience)
        shared.flight.asking += 1
        try:
            return int(await wait_for(need.done, shared.flight, patience, self._pacer.too_late))
        finally:
            need.is_gone = True
            shared.flight.asking -= 1
            if not shared.flight.asking and not shared.flight.is_sent and shared.task is not None:
                self._close_to_others(shared)
                shared.task.cancel()

    def _find(self, conids: tuple[str, ...], fields: tuple[str, ...]) -> _Round | None:
        if not self._spoilers.isdisjoint(conids):
            return None
        return next((each for each in self._open if each.has_room(conids, fields)), None)

    def _launch(self, conids: tuple[str, ...], caller: str, patience: Patience) -> _Round:
        flight = Flight(OPERATION, caller, Patience(patience.turn_by, patience.answer_by))
        made = _Round(flight, alone=not self._spoilers.isdisjoint(conids))
        made.task = asyncio.create_task(self._run(made), name="snapshot round")
        self._open.append(made)
        self._tasks.add(made.task)
        made.task.add_done_callback(self._tasks.discard)
        return made

    async def _run(self, shared: _Round) -> None:
        now = asyncio.get_running_loop().time()
        caller, last = self._last
        self._last = (shared.flight.caller, now)
        errors: dict[str, IbError] = {}
        failure: IbError | None = UpstreamUnreachable("The guard is stopping.")
        try:
            if caller != shared.flight.caller and now - last < _LATELY_S:
                await asyncio.sleep(_GATHER_S)
            await self._make_room(shared)
            errors = await self._ask(shared, None)
            failure = None
        except Abandoned:
            return
        except IbError as error:
            failure = error
            if isinstance(error, (LoginRequired, SessionReopening, UpstreamUnreachable)):
                self._doubt()
        finally:
            self._close_to_others(shared)
            _tell(shared, errors, failure)

    async def _ask(self, shared: _Round, conids: tuple[str, ...] | None) -> dict[str, IbError]:
        """Read ``conids``, or all that the round has when its turn comes; returns the errors by conid."""
        row = self._catalogue[OPERATION]
        asked: tuple[tuple[str, ...], tuple[str, ...]] | None = None

        def question() -> Question:
            nonlocal asked
            if asked is None:
                self._close_to_others(shared)
                names = shared.fields()
                if len(names) < _MOST_FIELDS:
                    names[_AVAILABILITY] = None
                asked = conids or tuple(shared.conids()), tuple(names)
            return Question(row, row.path, (("conids", ",".join(asked[0])), ("fields", ",".join(asked[1]))))

        epoch = self._memory.epoch
        refused: UpstreamError | None = None
        body: list[object] = []
        try:
            body = await self._send(shared, question)
        except UpstreamError as error:
            if not _blames_instruments(error):
                raise
            refused = error
        if asked is None:
            raise Abandoned
        instruments, fields = asked
        self._lines.hold(instruments)
        if refused is None:
            if self._memory.epoch == epoch:
                self._rows.take(instruments, fields, body, asyncio.get_running_loop().time())
            return {}
        if len(instruments) == 1:
            self._spoilers.update(instruments)
        if len(instruments) == 1 or shared.flight.asking == 1 or not shared.splits:
            return dict.fromkeys(instruments, refused)
        shared.splits -= 1
        half = len(instruments) // 2
        return await self._ask(shared, instruments[:half]) | await self._ask(shared, instruments[half:])

    async def _send(self, shared: _Round, question: Callable[[], Question]) -> list[object]:
        tries = 0
        while True:
            tries += 1
            try:
                body = read_response(await self._sender.send(shared.flight, shared, question))
            except IbError as error:
                wait_s = retry_in_s(self._catalogue[OPERATION], error, tries, is_warm=True)
                now = asyncio.get_running_loop().time()
                if wait_s is None or now + wait_s > shared.flight.patience.turn_by:
                    raise
                await asyncio.sleep(wait_s)
                continue
            if not isinstance(body, list):
                raise UpstreamError("IBKR answered a price snapshot without rows.")
            return body

    async def _make_room(self, shared: _Round) -> None:
        """Give up lines that nobody asked for longest, when this round needs more than IBKR has."""
        excess = self._lines.excess(shared.conids())
        if len(excess) > _ONE_BY_ONE:
            await self._give_up(shared, "unsubscribe_all_market_data", None)
            gone = self._lines.give_up_all()
        else:
            gone = []
            for conid in excess:
                number = int(conid.partition("@")[0])
                await self._give_up(shared, "unsubscribe_market_data", b'{"conid":%d}' % number)
                gone += self._lines.give_up(conid)
        for conid in gone:
            self._rows.renew(conid)

    async def _give_up(self, shared: _Round, operation: str, body: bytes | None) -> None:
        row = self._catalogue[operation]
        flight = Flight(operation, shared.flight.caller, shared.flight.patience, asking=1)
        try:
            read_response(await self._sender.send(flight, body, lambda: Question(row, row.path, (), body)))
        except UpstreamError:
            # IBKR does not know the line any more.
            return

    def _close_to_others(self, shared: _Round) -> None:
        if shared in self._open:
            self._open.remove(shared)


def _blames_instruments(error: UpstreamError) -> bool:
    """Whether IBKR refuses the request because of what it asks for."""
    if isinstance(error, PreflightMissing):
        return False
    return isinstance(error, FinalAnswer) or error.status in _BLAMES


def _tell(shared: _Round, errors: dict[str, IbError], failure: IbError | None) -> None:
    """Wake the callers that still wait."""
    here = [need for need in shared.needs if not need.is_gone and not need.done.done()]
    for need in here:
        error = failure or next((errors[conid] for conid in need.conids if conid in errors), None)
        if error is None:
            need.done.set_result(len(here))
        else:
            need.done.set_exception(error)
