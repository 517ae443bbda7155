"""An order's way to IBKR: its turn, the last checks, the ledger, the request, IBKR's questions, and the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ib_keepalive.guard.memory.session_memory import Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.conversation import OPERATIONS, Conversation, Submission
from ib_keepalive.trading.database import NotWritten
from ib_keepalive.trading.entries import Entry, digest_of, unwritten
from ib_keepalive.trading.exchange import Exchange, Lost
from ib_keepalive.trading.ledger import Ledger, Registered
from ib_keepalive.trading.outcome import OrderState, Outcome
from ib_keepalive.trading.turns import OrderTurns
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, OperationForbidden, PacingLimited, SessionReopening, UpstreamUnreachable

log = structlog.get_logger("ib_keepalive.trading")

_WRITE_AGAIN_S = 5.0
_LOOK_IT_UP = "It is being looked up by its client order id; do not send it again."


@dataclass(frozen=True, slots=True)
class Done:
    """``entry``: as written before it was sent; ``answer``: IBKR's last one, with its HTTP ``status``.

    ``repeated``: it is the outcome of an earlier request.
    """

    outcome: Outcome
    entry: Entry
    answer: bytes | None
    repeated: bool = False
    status: int = 200


class OrderFlow:
    """``sent`` and ``ended`` are told of each entry, off the event loop; what ``sent`` raises an error for is not sent.

    ``unknown`` is called when an outcome is to be looked up.
    """

    def __init__(
        self,
        operations: Catalogue,
        reads: Reader,
        exchange: Exchange,
        sessions: Sessions,
        ledger: Ledger,
        *,
        sent: Callable[[Entry], None],
        ended: Callable[[Entry, Outcome], None],
        unknown: Callable[[], None],
    ) -> None:
        self._operations = operations
        self._reads = reads
        self._conversation = Conversation(operations, exchange)
        self._sessions = sessions
        self._ledger = ledger
        self._sent = sent
        self._ended = ended
        self._unknown = unknown
        self._tasks: dict[asyncio.Task[Done], Submission] = {}
        self._owed: set[asyncio.Task[None]] = set()
        self.turns = OrderTurns()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """End everything; what was sent without an answer is looked up after the next start."""
        running = [*self._tasks, *self._owed]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def perform(self, submission: Submission, caller: Caller) -> Done:
        """Send it in its turn and wait for its end. Any IbError means that nothing was sent."""
        done = await self.wait(self.start(submission, caller), submission, caller)
        assert done is not None
        return done

    def start(self, submission: Submission, caller: Caller) -> asyncio.Task[Done]:
        """Begin to send it in its turn; ``wait`` for the end."""
        task = asyncio.create_task(self._run(submission, caller), name=f"order {submission.intent.kind}")
        self._tasks[task] = submission
        task.add_done_callback(self._landed)
        return task

    async def join(self, entry: Entry, caller: Caller) -> Done:
        """The outcome of what was sent before, waiting for it while it is on its way."""
        for task, submission in self._tasks.items():
            if submission.entry is not None and submission.entry.id == entry.id:
                done = await self.wait(task, submission, caller)
                assert done is not None
                return replace(done, repeated=True)
        return _again(await self._ledger.get(entry.id) or entry)

    async def wait(
        self,
        task: asyncio.Task[Done],
        submission: Submission,
        caller: Caller,
        *,
        unless: asyncio.Future[bytes] | None = None,
    ) -> Done | None:
        """How it ended, or None when ``unless`` was there before. Any IbError means that nothing was sent.

        It goes on when the caller leaves, or its time ends, after it was sent; before that it is given up.
        """
        left_s = caller.answer_by - asyncio.get_running_loop().time()
        awaited: set[asyncio.Future[Any]] = {task} if unless is None else {task, unless}
        try:
            await asyncio.wait(awaited, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not submission.is_sent:
                task.cancel()
            raise
        if task.done():
            if task.cancelled():
                raise UpstreamUnreachable("The guard is stopping.")
            return task.result()
        if unless is not None and unless.done():
            return None
        if submission.is_sent and submission.entry is not None:
            entry = submission.entry
            return Done(_unknown(entry, "IBKR's answer is not there yet"), entry, None)
        task.cancel()
        # Who asks again at once finds that it was taken back.
        await asyncio.wait({task}, timeout=1)
        raise PacingLimited("Other orders are on their way, and nothing of this one was sent.", retry_after_s=5)

    def _landed(self, task: asyncio.Task[Done]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            # Read it, in case nobody waits any more.
            task.exception()

    async def _run(self, submission: Submission, caller: Caller) -> Done:
        intent = submission.intent
        endpoint = self._operations[OPERATIONS[intent.kind]]
        is_cancel = intent.kind in ("cancel", "cancel_all")
        await self._reads.prepare(endpoint, self._sessions.observe()[1], caller)
        async with self.turns.turn(first=is_cancel):
            memory = self._sessions.observe()[1]
            notional = await submission.approve()
            try:
                entry = await self._ledger.begin(
                    intent, sign_in=submission.sign_in, notional=notional, ticket=submission.ticket
                )
            except Registered as known:
                if known.entry.digest != digest_of(intent):
                    raise other_order(known.entry) from None
                return _again(known.entry)
            except NotWritten:
                if not is_cancel:
                    raise
                entry = unwritten(intent, submission.sign_in)
            submission.entry = entry
            try:
                try:
                    await self._ledger.aside(lambda: self._sent(entry))
                except IbError:
                    if not is_cancel:
                        raise
                outcome = await self._conversation.hold(submission, memory, caller.turn_by)
            except Lost as lost:
                outcome = _unknown(entry, str(lost))
            except IbError as error:
                await self._take_back(entry)
                if isinstance(error, SessionReopening):
                    # Perhaps IBKR forgot that its accounts were asked for.
                    memory.called.pop("list_brokerage_accounts", None)
                raise
            except asyncio.CancelledError:
                if not submission.is_sent:
                    await asyncio.shield(self._take_back(entry))
                raise
            except Exception:
                log.exception("an order failed in the guard", entry=entry.id)
                outcome = _unknown(entry, "the guard failed before it understood IBKR's answer")
            answer = submission.answer
            content = answer.content if answer is not None else None
            await self._settle(entry, outcome, content)
            return Done(outcome, entry, content, status=200 if answer is None else answer.status)

    async def _settle(self, entry: Entry, outcome: Outcome, answer: bytes | None) -> None:
        await self._written(entry, lambda: self._ledger.settle(entry, outcome, answer))
        try:
            await self._ledger.aside(lambda: self._ended(entry, outcome))
        except IbError as error:
            log.error("an outcome is not in the audit", entry=entry.id, reason=error.message)
        if outcome.outcome == "outcome_unknown":
            self._unknown()

    async def _take_back(self, entry: Entry) -> None:
        await self._written(entry, lambda: self._ledger.forget(entry))

    async def _written(self, entry: Entry, write: Callable[[], Awaitable[None]]) -> None:
        """Write what is true already; where that fails, again and again. After a restart it would be looked up."""
        try:
            await write()
        except NotWritten as error:
            log.error("what became of an order could not be written down yet", entry=entry.id, reason=error.message)
            later = asyncio.create_task(_write_later(write), name="write of an order")
            self._owed.add(later)
            later.add_done_callback(self._owed.discard)


async def _write_later(write: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_WRITE_AGAIN_S)
        try:
            return await write()
        except NotWritten:
            continue


def _again(entry: Entry) -> Done:
    return Done(entry.outcome or _unknown(entry, "its answer was lost"), entry, entry.answer, repeated=True)


def other_order(entry: Entry) -> IbError:
    """What is told when a client order id stands for another order already."""
    names = ", ".join(name for name in entry.client_order_ids if name)
    return OperationForbidden(
        f"The client order id {names} was used for another order.", action="Give each order an id of its own."
    )


def _unknown(entry: Entry, why: str) -> Outcome:
    orders = tuple(OrderState(name, None, None) for name in entry.client_order_ids)
    what = {"place": "The order", "modify": "The change"}.get(entry.kind, "The cancellation")
    return Outcome(
        "outcome_unknown",
        f"{what} was sent, and what became of it is not known: {why.rstrip('.')}. {_LOOK_IT_UP}",
        orders,
    )
