"""The order calls of IBKR's own API for other clients: the same checks and ledger, IBKR's own bodies as answers.

IBKR's questions go to the client, which may answer them in time and within what the policy lets be answered with yes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_keepalive.http.asgi import HttpReply
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.conversation import Submission
from ib_keepalive.trading.desk import Desk, new_client_order_id, permits
from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.exchange import Answer
from ib_keepalive.trading.flow import Done, OrderFlow
from ib_keepalive.trading.intent import OrderIntent, read_cancel, read_modify, read_place
from ib_keepalive.trading.outcome import Outcome, Question
from ib_keepalive.trading.policy import Policy
from ib_keepalive.trading.standing import Standing
from ib_keepalive.upstream.api_request import ApiRequest
from ibkr.errors import IbError, InvalidRequest, OperationForbidden, OutcomeUnknown, UpstreamError

# So long a client may leave a question open; all other orders wait meanwhile.
ANSWER_WITHIN_S = 10.0
# So long after a client left without its answer the same request is taken for the same order.
_UNHEARD_S = 60.0


class OpenQuestion:
    """IBKR's questions about one order, handed to the client that placed it."""

    def __init__(self, policy: Callable[[], Policy], hurry: asyncio.Event, within_s: float) -> None:
        self._policy = policy
        self._hurry = hurry
        self._within_s = within_s
        self._shown: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._reply: asyncio.Future[bool] | None = None
        self.reply_id: str | None = None
        self.refused: IbError | None = None
        self.was_confirmed = False

    async def confirms(self, question: Question, answer: Answer) -> bool:
        """The client's word, or no: when it does not come in time, a cancellation waits, or the policy says no."""
        reply: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.reply_id, self._reply = question.reply_id, reply
        self._shown.set_result(answer.content)
        hurried = asyncio.ensure_future(self._hurry.wait())
        try:
            awaited: set[asyncio.Future[Any]] = {reply, hurried}
            await asyncio.wait(awaited, timeout=self._within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
            self.reply_id = self._reply = None
        if not reply.done() or not reply.result():
            return False
        if not permits(self._policy(), question):
            self.refused = OperationForbidden(
                f"The policy does not let IBKR's question {', '.join(question.message_ids)} be answered with yes, so"
                f" the order was withdrawn. IBKR asked: {question.text}",
                action="Ask the owner to name the question in the policy, or order otherwise.",
            )
            return False
        return True

    def answer(self, *, confirmed: bool) -> None:
        """Take the client's word; what comes next is shown by ``shown``."""
        assert self._reply is not None
        self._shown = asyncio.get_running_loop().create_future()
        self._reply.set_result(confirmed)
        self.was_confirmed = confirmed
        self.reply_id = self._reply = None

    @property
    def shown(self) -> asyncio.Future[bytes]:
        """IBKR's next question as it came."""
        return self._shown


@dataclass(eq=False, slots=True)
class _Talk:
    """One client's order on its way, as long as IBKR may ask about it."""

    caller: str
    task: asyncio.Task[Done]
    submission: Submission
    question: OpenQuestion


class RawOrders:
    """Answers the operations of IBKR's API that change orders."""

    def __init__(
        self, desk: Desk, flow: OrderFlow, standing: Standing, *, answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        self._desk = desk
        self._flow = flow
        self._standing = standing
        self._answer_within_s = answer_within_s
        self._talks: set[_Talk] = set()
        self._unheard: dict[tuple[str, bytes | None], _Talk] = {}

    async def answer(self, request: ApiRequest, caller: Caller, sign_in: int | None) -> HttpReply:
        """IBKR's answer, or its question. Any IbError but OutcomeUnknown means that nothing was changed."""
        body = json.loads(request.body or b"{}")
        if request.endpoint.id == "answer_order_question":
            return await self._reply(request.path.rsplit("/", 1)[1], body, caller)
        intent = _read(request, body, caller.name, sign_in)
        unheard = self._unheard.pop((caller.name, request.body), None)
        if unheard is not None and not unheard.task.cancelled():
            return await self._first(unheard, request, caller)
        refused = self._refuse_unapproved(intent)
        if refused is not None:
            raise refused
        question = OpenQuestion(self._standing.policy, self._flow.turns.hurry, self._answer_within_s)
        submission = await self._desk.prepare(intent, caller, question, still=lambda: self._refuse_unapproved(intent))
        if isinstance(submission, Entry):
            return _reply_of(await self._flow.join(submission, caller))
        task = self._flow.start(submission, caller)
        talk = _Talk(caller.name, task, submission, question)
        self._talks.add(talk)
        task.add_done_callback(lambda _: self._talks.discard(talk))
        return await self._first(talk, request, caller)

    async def _first(self, talk: _Talk, request: ApiRequest, caller: Caller) -> HttpReply:
        """The answer to a place or change; who leaves before it came, and sends the same again, gets it then.

        Libraries do that by themselves when their time is over; without a client order id it would be another order.
        """
        try:
            return await self._next(talk, caller)
        except asyncio.CancelledError:
            key = caller.name, request.body
            if talk.submission.is_sent and talk.submission.intent.kind == "place":
                self._unheard[key] = talk
                asyncio.get_running_loop().call_later(_UNHEARD_S, self._unheard.pop, key, None)
            raise

    async def _reply(self, reply_id: str, body: dict[str, Any], caller: Caller) -> HttpReply:
        confirmed = body.get("confirmed")
        if not isinstance(confirmed, bool):
            raise InvalidRequest("confirmed must be true or false.")
        talk = next((t for t in self._talks if t.question.reply_id == reply_id and t.caller == caller.name), None)
        if talk is None:
            raise UpstreamError(
                f"reply id not found: '{reply_id}'. A question is open for {self._answer_within_s:g} s, and only to who"
                " placed the order.",
                action="Look at the live orders, and place the order again under another cOID if it is not there.",
                status=400,
            )
        talk.question.answer(confirmed=confirmed)
        return await self._next(talk, caller)

    async def _next(self, talk: _Talk, caller: Caller) -> HttpReply:
        """What comes next for the client: the end, or a question."""
        shown = talk.question.shown
        done = await self._flow.wait(talk.task, talk.submission, caller, unless=shown)
        if done is None:
            return HttpReply(200, shown.result())
        if done.outcome.outcome == "declined" and talk.question.was_confirmed:
            raise talk.question.refused or OperationForbidden(done.outcome.message, action="Nothing was placed.")
        return _reply_of(done)

    def _refuse_unapproved(self, intent: OrderIntent) -> IbError | None:
        policy = self._standing.policy()
        if intent.kind in ("place", "modify") and policy.mode in ("paper", "live") and policy.approval != "none":
            return OperationForbidden(
                f"A person has to approve orders here (approval is {policy.approval}), and IBKR's own calls cannot"
                " ask one.",
                action="Use preview_order and submit_order of the MCP server.",
            )
        return None


def _read(request: ApiRequest, body: dict[str, Any], caller: str, sign_in: int | None) -> OrderIntent:
    parts = request.path.split("/")
    account = parts[3]
    match request.endpoint.id:
        case "place_orders":
            intent = read_place(account, body.get("orders"), caller=caller, sign_in=sign_in)
            return intent.with_client_order_ids(new_client_order_id)
        case "modify_order":
            return read_modify(account, parts[5], body, caller=caller, sign_in=sign_in)
    return read_cancel(account, parts[5], request.query, caller=caller, sign_in=sign_in)


def _reply_of(done: Done) -> HttpReply:
    outcome, headers = done.outcome, ((b"ib-repeated", b"true"),) if done.repeated else ()
    if outcome.outcome == "outcome_unknown":
        raise OutcomeUnknown(outcome.message, action="Do not send it again; look the order up by its cOID.")
    if outcome.outcome == "rejected" and done.status >= 400:
        raise UpstreamError(outcome.message, status=done.status)
    content = done.answer if done.answer else json.dumps(_body_of(outcome)).encode()
    return HttpReply(200, content, headers=headers)


def _body_of(outcome: Outcome) -> Any:
    """As IBKR would have answered, where its own answer was lost."""
    if outcome.outcome in ("rejected", "declined", "not_placed"):
        return {"error": outcome.message}
    return [
        {"order_id": order.order_id, "order_status": order.status, "encrypt_message": "1"}
        for order in outcome.orders
        if order.order_id is not None
    ]
