"""Asking a person on the older wire, which is served without sessions: the question goes out in the answer to the call.

The older protocol sends its questions as requests to the client, whose answer comes as a request of its own, perhaps to
another replica. So the question is named by the ticket that it is about, and whichever replica gets the answer hands it
to the guard, where the one that asked finds it. What a client can do it says once, when it begins; a session id, which
stands for nothing else, reminds it of that.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import structlog
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.auth.scopes import TRADE
from ib_mcp.guard.desk import Desk
from ib_mcp.http.request_body import whole
from ib_mcp.server.agents import Agent, Agents
from ib_mcp.server.call_middleware import ASKING
from ib_mcp.server.person import ASKER
from ib_mcp.trading.asking import ASK_S, Decision, IsOpen, decision_of, form, person_at
from ibkr.errors import IbError

log = structlog.get_logger(__name__)

_SESSION, _VERSION = b"mcp-session-id", b"mcp-protocol-version"
_CAN_ASK = "asks-"
_QUESTION = "approval-"
# How often it is looked whether somebody decided elsewhere; proxies are kept from losing patience by it too.
_LOOK_S = 2.0

Waiting = dict[str, "asyncio.Future[Decision | None]"]


class Elicitation:
    """Lies behind the check of the token. Concerns the older wire only, and of it what begins, asks and answers."""

    def __init__(self, app: ASGIApp, path: str, desk: Desk, agents: Agents) -> None:
        self._app = app
        self._path = path
        self._desk = desk
        self._agents = agents
        self._waiting: Waiting = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        version = headers.get(_VERSION)
        session = headers.get(_SESSION)
        is_older = version is None or version.decode("latin-1") in HANDSHAKE_PROTOCOL_VERSIONS
        if not is_older or (session is not None and not session.startswith(_CAN_ASK.encode())):
            await self._app(scope, receive, send)
            return
        messages = await whole(receive)
        said = _object(b"".join(message.get("body", b"") for message in messages))
        if session is None:
            await self._app(scope, _again(messages, receive), _naming(send) if _can_ask(said) else send)
        elif _is_call(said) and b"text/event-stream" in headers.get(b"accept", b""):
            await self._call(scope, messages, receive, send)
        elif "method" not in said and str(said.get("id", "")).startswith(_QUESTION):
            await self._answer(scope, said)
            await Response(status_code=202)(scope, receive, send)
        else:
            await self._app(scope, _again(messages, receive), send)

    async def _call(self, scope: Scope, messages: list[Message], receive: Receive, send: Send) -> None:
        """Answer a call in whose course a person may be asked."""
        leaving = asyncio.ensure_future(_left(receive))
        asker = _Asker(send, self._waiting, leaving)
        scope[ASKER] = asker
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        async def read() -> Message:
            return messages.pop(0) if messages else await asyncio.shield(leaving)

        try:
            await self._app(scope, read, hold)
        finally:
            scope.pop(ASKER, None)
            leaving.cancel()
        if asker.has_begun:
            await asker.end(b"".join(message.get("body", b"") for message in held))
            return
        for message in held:
            await send(message)

    async def _answer(self, scope: Scope, said: dict[str, Any]) -> None:
        """Take what a person said to a question of this or another replica."""
        ticket = str(said["id"]).removeprefix(_QUESTION)
        result = said.get("result")
        decided = decision_of(result.get("action"), result.get("content")) if isinstance(result, dict) else None
        agent = self._agents.of(scope, None)
        if TRADE not in agent.grant.scopes:
            return
        asked = self._waiting.get(ticket)
        if asked is not None:
            if not asked.done():
                asked.set_result(decided)
        elif decided is not None:
            try:
                await self._decide(ticket, agent, approve=decided == "approved")
            except IbError as error:
                log.info("an answer about an order was too late", reason=error.message)

    async def _decide(self, ticket: str, agent: Agent, *, approve: bool) -> None:
        with agent.asking():
            waiting = await self._desk.pending(ticket)
            if waiting is None or waiting.get("caller") != agent.caller:
                return
            if (await self._desk.status(str(waiting.get("account")))).get("approval") != "ask":
                return
            await self._desk.decide(ticket, approve=approve, by=person_at(agent.grant.name))


class _Asker:
    """Asks within the answer to one call, which becomes a stream of events by it."""

    def __init__(self, send: Send, waiting: Waiting, leaving: asyncio.Future[Message]) -> None:
        self._send = send
        self._waiting = waiting
        self._leaving = leaving
        self.has_begun = False

    async def ask(self, ticket: str, message: str, is_open: IsOpen) -> Decision | None:
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Decision | None] = loop.create_future()
        self._waiting[ticket] = asked
        # Clients of before the other modes know none.
        params = form(message).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"mode"})
        question = {"jsonrpc": "2.0", "id": _QUESTION + ticket, "method": "elicitation/create", "params": params}
        try:
            await self._write(b"event: message\ndata: " + json.dumps(question).encode() + b"\n\n")
            until = loop.time() + ASK_S
            awaited: set[asyncio.Future[Any]] = {asked, self._leaving}
            while (left := until - loop.time()) > 0:
                await asyncio.wait(awaited, timeout=min(left, _LOOK_S), return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    return asked.result()
                if self._leaving.done():
                    return None
                if not await is_open():
                    return "decided elsewhere"
                await self._write(b": waiting for a person\n\n")
            return None
        finally:
            if self._waiting.get(ticket) is asked:
                del self._waiting[ticket]

    async def end(self, answer: bytes) -> None:
        await self._write(b"event: message\ndata: " + answer + b"\n\n")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, event: bytes) -> None:
        if not self.has_begun:
            self.has_begun = True
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache, no-transform")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": event, "more_body": True})


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _can_ask(said: dict[str, Any]) -> bool:
    """Whether a client begins that can show forms."""
    params = said.get("params") if said.get("method") == "initialize" else None
    capabilities = params.get("capabilities") if isinstance(params, dict) else None
    elicitation = capabilities.get("elicitation") if isinstance(capabilities, dict) else None
    return isinstance(elicitation, dict) and ("form" in elicitation or "url" not in elicitation)


def _is_call(said: dict[str, Any]) -> bool:
    params = said.get("params")
    return said.get("method") == "tools/call" and isinstance(params, dict) and params.get("name") == ASKING


def _naming(send: Send) -> Send:
    """``send`` with a session id, by which the client is known as one that can ask."""
    session = (_CAN_ASK + secrets.token_urlsafe(16)).encode()

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message["headers"] = [*message.get("headers", ()), (_SESSION, session)]
        await send(message)

    return named


def _again(messages: list[Message], receive: Receive) -> Receive:
    """A body that was read, once more."""

    async def read() -> Message:
        return messages.pop(0) if messages else await receive()

    return read


async def _left(receive: Receive) -> Message:
    """Until the client is gone."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message
