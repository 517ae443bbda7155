"""One HTTP exchange on the ASGI interface: the request as it came in and the reply as it goes out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from ib_simulator.call import Answer
from ib_simulator.listener import reset

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
_JSON = b"application/json;charset=utf-8"


@dataclass(slots=True)
class Incoming:
    """``headers`` by lower-case name; ``target`` is path and query as they came."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    receive: Receive

    @property
    def agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    async def gone(self) -> None:
        """Return when the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


@dataclass(slots=True)
class Reply:
    """What goes out. ``broken``: the connection is reset in place of it, or dies inside the body."""

    status: int
    body: bytes = b""
    media: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    broken: Literal["reset", "cut"] | None = None


def json_reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body, separators=(",", ":")).encode())


def answer_reply(answer: Answer) -> Reply:
    """A str goes out as it is, everything else as compact JSON."""
    if isinstance(answer.body, str):
        return Reply(answer.status, answer.body.encode(), answer.media.encode())
    return json_reply(answer.body, answer.status)


async def read(scope: Scope, receive: Receive) -> Incoming:
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return Incoming(
        scope["method"], scope["path"], scope.get("query_string", b""), dict(scope["headers"]), body, receive
    )


async def send(scope: Scope, receive: Receive, send: Send, reply: Reply, *, chunked: bool = False) -> None:
    """Send ``reply``: one body message, with Content-Length unless ``chunked``. A broken one breaks the connection.

    Without a socket (in-process tests) breaking is a ConnectionResetError raised into the caller.
    """
    transport = scope.get("state", {}).get("transport")
    if reply.broken is not None and transport is None:
        raise ConnectionResetError("the simulator broke the connection")
    if reply.broken == "reset":
        reset(transport)
        return await _until_gone(receive)
    headers: Headers = [(b"content-type", reply.media), *reply.headers]
    if not chunked:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.broken == "cut":
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        transport.close()
        return await _until_gone(receive)
    return await send({"type": "http.response.body", "body": reply.body})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
