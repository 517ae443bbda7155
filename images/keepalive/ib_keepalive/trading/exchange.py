"""One order request's way to IBKR and back: sent once, and what is known when no answer came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.shared_call import Caller, SharedCall
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import FinalAnswer, Response
from ib_service import strict_json
from ibkr.errors import IbError, LoginRequired, PacingLimited, SessionReopening, UpstreamTimeout

# IBKR takes an answer to its question only at once, and it is nobody's turn but this one's.
_REPLY_WITHIN_S = 20.0
_QUEUE_NAME = "orders"
_NO_SESSION = ("no bridge", "not authenticated", "init session first", "no brokerage session", "query /accounts first")
_LONGEST_TEXT = 300


class Lost(Exception):
    """A request was sent, and what became of it is not known; the text says how the answer was lost."""


@dataclass(frozen=True, slots=True)
class Answer:
    """IBKR's answer, understood as JSON: of HTTP status 2xx, or a refusal of 4xx."""

    status: int
    body: Any
    content: bytes


class Exchange:
    """Sends what changes orders. ``edited`` is called after each, for what was kept of orders and holdings."""

    def __init__(self, client: PacedClient, sessions: Sessions, edited: Callable[[SessionMemory], None]) -> None:
        self._client = client
        self._sessions = sessions
        self._edited = edited

    async def send(
        self, request: ApiRequest, memory: SessionMemory, turn_by: float, leave: Callable[[], None]
    ) -> Answer:
        """IBKR's answer to a first request, of the session of ``memory``.

        ``leave`` is called when its turn has come and may still refuse; nothing was sent when it raises, nor when any
        other IbError is raised. Lost when it may have been done.
        """

        def in_turn() -> ApiRequest:
            self._sessions.check(memory)
            leave()
            return request

        answer_by = turn_by + request.endpoint.answers_within_s
        return await self._send(request, memory, Deadline(turn_by, answer_by), in_turn)

    async def reply(self, request: ApiRequest, memory: SessionMemory, in_turn: Callable[[], ApiRequest]) -> Answer:
        """IBKR's answer to a reply to its question; Lost for everything else, sent or not: the order stands open.

        ``in_turn`` may make another reply of it when its turn has come.
        """
        now = asyncio.get_running_loop().time()
        deadline = Deadline(now + _REPLY_WITHIN_S, now + _REPLY_WITHIN_S + request.endpoint.answers_within_s)
        try:
            answer = await self._send(request, memory, deadline, in_turn)
        except IbError as error:
            raise Lost(error.message) from error
        if answer.status >= 400:
            raise Lost(text_of(answer))
        return answer

    async def _send(
        self, request: ApiRequest, memory: SessionMemory, deadline: Deadline, in_turn: Callable[[], ApiRequest]
    ) -> Answer:
        is_sent = False

        def leave() -> ApiRequest:
            nonlocal is_sent
            made = in_turn()
            is_sent = True
            return made

        call = SharedCall(request.endpoint.id, [Caller(_QUEUE_NAME, deadline)])
        try:
            # Each is a request of its own: that another alike was left unanswered says nothing about this one.
            response = await self._client.send(call, object(), leave)
        except (UpstreamTimeout, ConnectionBroken, FinalAnswer) as error:
            if is_sent:
                raise Lost(error.message) from error
            raise
        finally:
            if is_sent:
                self._edited(memory)
        return _read(response)


def text_of(answer: Answer) -> str:
    """IBKR's own words."""
    body = answer.body[0] if isinstance(answer.body, list) and answer.body else answer.body
    if isinstance(body, dict):
        for name in ("error", "message", "text"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])[:_LONGEST_TEXT]
    return f"HTTP {answer.status}"


def _read(response: Response) -> Answer:
    status = response.status
    if status == 429:
        raise PacingLimited("IBKR refuses requests for a while: too many were sent.")
    if status == 401 or 300 <= status < 400:
        raise LoginRequired("IBKR's gateway has no valid sign-in.")
    if not (200 <= status < 300 or 400 <= status < 500):
        raise Lost(f"IBKR answered with HTTP {status}{_words(response)}")
    try:
        body, content = strict_json.load_and_clean(response.content)
    except ValueError:
        if status >= 400:
            return Answer(status, {"error": f"HTTP {status}"}, b"")
        raise Lost("IBKR's answer is cut short or not JSON") from None
    if isinstance(body, dict) and isinstance(body.get("error"), str):
        lowered = body["error"].lower()
        if any(words in lowered for words in _NO_SESSION):
            raise SessionReopening("IBKR's brokerage session is not open at the moment.", retry_after_s=5)
    return Answer(status, body, content)


def _words(response: Response) -> str:
    try:
        body = strict_json.load_cleaned(response.content)
    except ValueError:
        return ""
    return f": {body['error'][:_LONGEST_TEXT]}" if isinstance(body, dict) and isinstance(body.get("error"), str) else ""
