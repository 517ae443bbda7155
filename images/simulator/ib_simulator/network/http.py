"""One HTTP exchange on the ASGI interface: the request as it came in and the reply as it goes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from ib_simulator.call import Answer
from ib_simulator.network.listener import reset

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_JSON = b"application/json;charset=utf-8"


@dataclass(slots=True)
class Incoming:
    """A request with its whole body; ``headers`` by lower-case name, ``origin`` as the listener knows itself."""

    method: str
    path: str
    query_string: bytes
    headers: dict[bytes, bytes]
    body: bytes
    receive: Receive
    origin: str = ""

    @property
    def user_agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)) if self.query_string else {}

    async def gone(self) -> None:
        """Return when the client has gone."""
        await _gone(self.receive)


@dataclass(slots=True)
class Reply:
    """What goes out.

    ``broken``: the connection is reset in place of it; or is cut inside the body; or stalls inside the body until
    ``resume`` returns.
    """

    status: int
    body: bytes = b""
    media: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    broken: Literal["reset", "cut", "stall"] | None = None
    resume: Callable[[], Coroutine[Any, Any, None]] | None = None


def json_reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body, separators=(",", ":")).encode())


def page_reply(text: str, status: int = 200, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, text.encode(), b"text/html;charset=utf-8", headers)


def redirect(location: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(302, b"", b"text/plain", ((b"location", location.encode()), *headers))


def answer_reply(answer: Answer) -> Reply:
    """A str goes out as it is, everything else as compact JSON."""
    if isinstance(answer.body, str):
        return Reply(answer.status, answer.body.encode(), answer.media.encode())
    return json_reply(answer.body, answer.status)


async def read(scope: Scope, receive: Receive) -> Incoming | None:
    """The whole request; None when the client went away inside it."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query = scope.get("query_string", b"")
    headers = dict(scope["headers"])
    return Incoming(scope["method"], scope["path"], query, headers, body, receive, _origin(scope))


def _origin(scope: Scope) -> str:
    scheme = scope.get("scheme", "http")
    host, port = scope.get("server") or ("", None)
    return f"{scheme}://{host}" if port in (None, 0) else f"{scheme}://{host}:{port}"


async def write(scope: Scope, receive: Receive, send: Send, reply: Reply, *, chunked: bool = False) -> None:
    """Send ``reply`` with its body in one piece and Content-Length unless ``chunked``, or break the connection.

    Without a socket (in-process tests) breaking is a ConnectionResetError raised into the caller.
    """
    transport = scope.get("state", {}).get("transport")
    if reply.broken in ("reset", "cut") and transport is None:
        raise ConnectionResetError("the simulator broke the connection")
    if reply.broken == "reset":
        reset(transport)
        return await _gone(receive)
    headers = [(b"content-type", reply.media), *reply.headers]
    if not chunked:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.broken is None:
        return await send({"type": "http.response.body", "body": reply.body})
    half = len(reply.body) // 2
    await send({"type": "http.response.body", "body": reply.body[:half], "more_body": True})
    if reply.resume is None:
        # What was written leaves at the end of the loop's turn.
        await asyncio.sleep(0)
        transport.close()
        return await _gone(receive)
    if await unless_gone(receive, reply.resume()):
        await send({"type": "http.response.body", "body": reply.body[half:]})
    return None


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    """Do ``work`` and be True; False, and the work cancelled, when the client goes away before it is done."""
    working, gone = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return working.done()
    finally:
        working.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
