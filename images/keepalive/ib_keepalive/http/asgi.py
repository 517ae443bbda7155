"""Plain ASGI: one request read within limits, one reply sent whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ib_service.http.caller_gone import CallerGone
from ibkr.errors import IbError, InvalidRequest

T = TypeVar("T")
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 64 * 1024
_BODY_WITHIN_S = 10.0
# Digits of a Content-Length; Python reads no number of some thousands.
_LONGEST_LENGTH = 18
_PREPARED = [(b"cache-control", b"no-store")]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole HTTP response; ``headers`` are added to content-type, content-length and cache-control."""

    status: int
    content: bytes
    media: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_reply(body: object, status: int = 200) -> HttpReply:
    return HttpReply(status, json.dumps(body, separators=(",", ":")).encode())


def error_reply(error: IbError) -> HttpReply:
    """The error envelope with its status and headers."""
    content = json.dumps(error.envelope(), separators=(",", ":")).encode()
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers().items())
    return HttpReply(error.status, content, headers=headers)


async def send_reply(send: Send, reply: HttpReply) -> None:
    headers = [*_PREPARED, *reply.headers]
    if reply.status != 204:
        headers += [(b"content-type", reply.media), (b"content-length", str(len(reply.content)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})


async def read_body(receive: Receive, announced: bytes | None) -> bytes:
    """The request's body. ``announced`` is its Content-Length; InvalidRequest when it is too large or too slow."""
    digits = (announced or b"").lstrip(b"0")
    if digits.isdigit() and (len(digits) > _LONGEST_LENGTH or int(digits) > LARGEST_BODY):
        raise _too_large()
    content: bytes = b""
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise CallerGone
                content += message.get("body", b"")
                if len(content) > LARGEST_BODY:
                    raise _too_large()
                if not message.get("more_body", False):
                    return content
    except TimeoutError:
        raise InvalidRequest(f"The request's body did not arrive within {_BODY_WITHIN_S:g} s.", status=408) from None


def _too_large() -> InvalidRequest:
    return InvalidRequest(
        f"The request's body is larger than {LARGEST_BODY // 1024} KiB.",
        action="Send a smaller body.",
        status=413,
    )
