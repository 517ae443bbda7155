"""One HTTP request to the gateway: over sockets, or through httpx's transport, into which tests put an app.

On sockets aiohttp is used as it is: httpx's layer over it would take a tenth of a request's CPU.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import cast

import aiohttp
import httpx
from yarl import URL

from ib_keepalive.oauth1.live_tokens import Refusal
from ib_keepalive.oauth1.transport import SignedTransport
from ib_keepalive.upstream.response import LARGEST_ANSWER, FinalAnswer, Response
from ib_service.http.client import Sockets
from ib_service.http.headers import retry_after_s
from ib_service.http.reading import NotUnpacked, TooLarge, read_whole

_CONNECT_S = 5.0
_TIMEOUT = aiohttp.ClientTimeout(connect=_CONNECT_S, sock_connect=_CONNECT_S)
# Nothing of the caller's is sent on: no cookie, origin, token or forwarding header.
_HEADERS = {"User-Agent": "ib-mcp", "Accept": "*/*", "Accept-Encoding": "identity"}
_WITH_BODY = {**_HEADERS, "Content-Type": "application/json"}

Fetch = Callable[[str, str, bytes | None, bool], Awaitable[Response]]
"""Method, URL (encoded), JSON body, and whether it takes a connection of its own.

Raises what aiohttp or httpx raises, and FinalAnswer for too large an answer.
"""
_Send = Callable[[str, str, bytes | None, bool, Mapping[str, str]], Awaitable[Response]]


def fetching(transport: httpx.AsyncBaseTransport) -> Fetch:
    """Requests through ``transport``, without redirects and cookies."""
    if isinstance(transport, SignedTransport):
        return partial(_signed, transport, _sending(transport.inner))
    return partial(_unsigned, _sending(transport))


def _sending(transport: httpx.AsyncBaseTransport) -> _Send:
    if isinstance(transport, Sockets):
        return partial(_by_sockets, transport)
    return partial(_by_transport, transport)


async def _unsigned(send: _Send, method: str, url: str, body: bytes | None, alone: bool) -> Response:
    return await send(method, url, body, alone, _HEADERS if body is None else _WITH_BODY)


async def _signed(
    transport: SignedTransport, send: _Send, method: str, url: str, body: bytes | None, alone: bool
) -> Response:
    header = await transport.authorization(method, url)
    if isinstance(header, Refusal):
        return Response(header.status, header.media.lower(), header.content)
    plain = _HEADERS if body is None else _WITH_BODY
    return await send(method, url, body, alone, {**plain, "Authorization": header})


async def _by_sockets(
    transport: Sockets, method: str, url: str, body: bytes | None, alone: bool, headers: Mapping[str, str]
) -> Response:
    session = transport.fresh_session() if alone else transport.session()
    async with session.request(
        method,
        URL(url, encoded=True),
        headers=headers,
        data=body,
        allow_redirects=False,
        auto_decompress=False,
        timeout=_TIMEOUT,
    ) as response:
        return await _read(response.status, response.headers, response.content.iter_any())


async def _by_transport(
    transport: httpx.AsyncBaseTransport, method: str, url: str, body: bytes | None, _: bool, headers: Mapping[str, str]
) -> Response:
    request = httpx.Request(method, url, headers=headers, content=body)
    response = await transport.handle_async_request(request)
    async with aclosing(response):
        return await _read(response.status_code, response.headers, cast(httpx.AsyncByteStream, response.stream))


async def _read(status: int, headers: Mapping[str, str], parts: AsyncIterable[bytes]) -> Response:
    try:
        # IBKR packs what it was not asked to pack, now and then.
        content = await read_whole(parts, LARGEST_ANSWER, headers.get("content-encoding", ""))
    except TooLarge:
        raise FinalAnswer(f"IBKR's answer is larger than {LARGEST_ANSWER >> 20} MiB.") from None
    except NotUnpacked:
        raise FinalAnswer("IBKR's answer is packed in a way that cannot be read.") from None
    media = headers.get("content-type", "").lower()
    return Response(status, media, content, retry_after_s(headers.get("retry-after")))
