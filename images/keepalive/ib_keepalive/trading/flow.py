"""An order's way to IBKR: its turn, the last checks, the ledger, the request, IBKR's questions, and the outcome."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.exchange import Answer, Exchange, Lost, text_of
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.ledger import Entry, Ledger, NotWritten, Registered, digest_of, unwritten
from ib_keepalive.trading.outcome import OrderState, Outcome, Question, is_registered, read_placed
from ib_keepalive.trading.turns import OrderTurns
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, OperationForbidden, PacingLimited, SessionReopening, UpstreamUnreachable

log = structlog.get_logger("ib_keepalive.trading")

# More in a row than any order of IBKR's has been seen to raise.
_MOST_QUESTIONS = 12
_OPERATIONS = {
    "place": "place_orders",
    "modify": "modify_order",
    "cancel": "cancel_order",
    "cancel_all": "cancel_order",
}
_REPLY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LOOK_IT_UP = "It is being looked up by its client order id; do not send it again."


class Answerer(Protocol):
    """Who decides about IBKR's questions."""

    async def confirms(self, question: Question, answer: Answer) -> bool: ...


@dataclass(eq=False, slots=True)
class Submission:
    """One order request on its way. ``approve`` makes the last checks in its turn and tells the notional, ``may_leave``
    those of the very moment; any IbError of either ends it unsent. ``placed``: IBKR's rows about a part of the orders.
    """

    intent: OrderIntent
    sign_in: int
    approve: Callable[[], Awaitable[float | None]]
    may_leave: Callable[[], None]
    answerer: Answerer
    ticket: str | None = None
    is_sent: bool = False
    entry: Entry | None = None
    answer: Answer | None = None
    placed: list[Any] = field(default_factory=list)


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
        self._exchange = exchange
        self._sessions = sessions
        self._ledger = ledger
        self._sent = sent
        self._ended = ended
        self._unknown = unknown
        self._tasks: dict[asyncio.Task[Done], Submission] = {}
        self.turns = OrderTurns()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """End everything; what was sent without an answer is looked up after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        endpoint = self._operations[_OPERATIONS[intent.kind]]
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
                outcome = await self._converse(submission, self._request(intent), memory, caller.turn_by)
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
        try:
            await self._ledger.settle(entry, outcome, answer)
            await self._ledger.aside(lambda: self._ended(entry, outcome))
        except IbError as error:
            # It is true all the same, and after a restart it will be looked up.
            log.error("an outcome could not be written down", entry=entry.id, reason=str(error))
        if outcome.outcome == "outcome_unknown":
            self._unknown()

    async def _take_back(self, entry: Entry) -> None:
        try:
            await self._ledger.forget(entry)
        except NotWritten as error:
            log.error("what was not sent could not be taken back", entry=entry.id, reason=str(error))

    async def _converse(
        self, submission: Submission, request: ApiRequest, memory: SessionMemory, turn_by: float
    ) -> Outcome:
        def leave() -> None:
            submission.may_leave()
            submission.is_sent = True

        answer = await self._exchange.send(request, memory, turn_by, leave)
        for _ in range(_MOST_QUESTIONS):
            submission.answer = answer
            heard = self._hear(submission, answer)
            if not isinstance(heard, Question):
                return heard
            confirmed = await submission.answerer.confirms(heard, answer)
            answer, stopped = await self._answer(submission, heard, memory, confirmed=confirmed)
            submission.answer = answer
            if stopped is not None or not confirmed:
                return self._declined(submission, heard, answer, stopped)
            if heard.prompt is not None:
                raise Lost("IBKR's prompt was answered, and that tells nothing about the order")
        raise Lost("IBKR asked more questions than any order raises")

    async def _answer(
        self, submission: Submission, question: Question, memory: SessionMemory, *, confirmed: bool
    ) -> tuple[Answer, IbError | None]:
        """IBKR's answer to the reply, and what was in the way of a yes when its turn had come: a stop, a new policy."""
        stopped: IbError | None = None

        def in_turn() -> ApiRequest:
            nonlocal stopped
            if confirmed:
                try:
                    submission.may_leave()
                except IbError as error:
                    stopped = error
            return self._reply(question, confirmed=confirmed and stopped is None)

        answer = await self._exchange.reply(self._reply(question, confirmed=confirmed), memory, in_turn)
        return answer, stopped

    def _hear(self, submission: Submission, answer: Answer) -> Outcome | Question:
        intent = submission.intent
        if answer.status >= 400:
            return Outcome("rejected", f"IBKR: {text_of(answer)}", _named(intent))
        if intent.kind in ("cancel", "cancel_all"):
            return _read_cancelled(intent, answer)
        if is_registered(answer.body):
            # Sent before, and not by what this ledger remembers.
            raise Lost(f"IBKR: {text_of(answer)}")
        rows = answer.body if isinstance(answer.body, list) else []
        placed = [row for row in rows if isinstance(row, dict) and row.get("order_id")]
        heard = read_placed(answer.body, tuple(order.get("cOID") for order in intent.orders))
        if isinstance(heard, Question):
            submission.placed += placed
            return heard
        if heard is None:
            raise Lost("IBKR's answer says nothing about the order")
        if submission.placed and isinstance(heard, Outcome):
            whole = read_placed([*submission.placed, *placed], tuple(o.get("cOID") for o in intent.orders))
            return whole if isinstance(whole, Outcome) else heard
        return heard

    def _declined(self, submission: Submission, question: Question, answer: Answer, stopped: IbError | None) -> Outcome:
        names = tuple(order.get("cOID") for order in submission.intent.orders)
        if submission.placed:
            partly = read_placed(submission.placed, names)
            if isinstance(partly, Outcome):
                return replace(partly, message="IBKR has a part of the orders; a question about another was declined.",
                               question=question)  # fmt: skip
        # Some that were confirmed before may be answered with the order all the same.
        heard = read_placed(answer.body, names)
        if isinstance(heard, Outcome) and heard.outcome != "rejected":
            return heard
        why = "IBKR asked something that is not answered yes here" if stopped is None else stopped.message.rstrip(".")
        return Outcome("declined", f"{why}, so the order was withdrawn.", _named(submission.intent), question)

    def _request(self, intent: OrderIntent) -> ApiRequest:
        endpoint = self._operations[_OPERATIONS[intent.kind]]
        path = endpoint.path.replace("{accountId}", intent.account).replace("{orderId}", intent.order_id or "")
        if intent.kind == "place":
            return ApiRequest(endpoint, path, body=_dump({"orders": list(intent.orders)}))
        if intent.kind == "modify":
            return ApiRequest(endpoint, path, body=_dump(intent.orders[0]))
        return ApiRequest(endpoint, path, tuple(sorted(intent.query)), b"{}")

    def _reply(self, question: Question, *, confirmed: bool) -> ApiRequest:
        if question.prompt is not None:
            endpoint = self._operations["answer_order_prompt"]
            text = _option(question.options, "yes" if confirmed else "no")
            return ApiRequest(endpoint, endpoint.path, body=_dump({**question.prompt, "text": text}))
        endpoint = self._operations["answer_order_question"]
        if not _REPLY_ID.fullmatch(question.reply_id):
            raise Lost("IBKR's question has no number to answer it by")
        path = endpoint.path.replace("{replyId}", question.reply_id)
        return ApiRequest(endpoint, path, body=_dump({"confirmed": confirmed}))


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
    return Outcome("outcome_unknown", f"{what} was sent, and {why.rstrip('.')}. {_LOOK_IT_UP}", orders)


def _named(intent: OrderIntent) -> tuple[OrderState, ...]:
    if intent.kind == "place":
        return tuple(OrderState(order.get("cOID"), None, None) for order in intent.orders)
    return (OrderState(None, intent.order_id, None),)


def _read_cancelled(intent: OrderIntent, answer: Answer) -> Outcome:
    body = answer.body
    if isinstance(body, dict) and body.get("error"):
        return Outcome("rejected", f"IBKR: {text_of(answer)}", _named(intent))
    if not isinstance(body, dict):
        raise Lost("IBKR's answer says nothing about the cancellation")
    return Outcome("cancelled", "IBKR took the cancellation; until its status says so the order may still fill.",
                   _named(intent))  # fmt: skip


def _option(options: tuple[str, ...], wish: str) -> str:
    return next((option for option in options if option.lower() == wish), wish.capitalize())


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
