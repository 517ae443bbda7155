"""What is said with IBKR about one order: the request, IBKR's questions and their answers, and what it comes to."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ib_keepalive.guard.memory.session_memory import SessionMemory
from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.exchange import Answer, Exchange, Lost, text_of
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.outcome import OrderState, Outcome, Question, is_registered, read_placed
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError

# More in a row than any order of IBKR's has been seen to raise.
_MOST_QUESTIONS = 12
OPERATIONS = {
    "place": "place_orders",
    "modify": "modify_order",
    "cancel": "cancel_order",
    "cancel_all": "cancel_order",
}
_REPLY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


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


class Conversation:
    """Talks about one order after the other; the caller holds the turn."""

    def __init__(self, operations: Catalogue, exchange: Exchange) -> None:
        self._operations = operations
        self._exchange = exchange

    async def hold(self, submission: Submission, memory: SessionMemory, turn_by: float) -> Outcome:
        """What became of the order. Lost when it is not known; any IbError means that nothing was sent."""

        def leave() -> None:
            submission.may_leave()
            submission.is_sent = True

        answer = await self._exchange.send(self._request(submission.intent), memory, turn_by, leave)
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
        endpoint = self._operations[OPERATIONS[intent.kind]]
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
