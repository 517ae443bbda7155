"""One HTTP request to the gateway: over sockets, or through httpx's transport, into which tests put an app.

On sockets aiohttp is used as it is: httpx's layer over it would take a tenth of a request's CPU.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import cast

import aiohttp
import httpx
from yarl import URL

from ib_keepalive.upstream.connections import Sockets
from ib_keepalive.upstream.response import Response
from ib_keepalive.upstream.unpacking import read_whole

_CONNECT_S = 5.0
_TIMEOUT = aiohttp.ClientTimeout(connect=_CONNECT_S, sock_connect=_CONNECT_S)
# Nothing of the caller's is sent on: no cookie, origin, token or forwarding header.
_HEADERS = {"User-Agent": "ib-mcp", "Accept": "*/*", "Accept-Encoding": "identity"}
_WITH_BODY = {**_HEADERS, "Content-Type": "application/json"}

Fetch = Callable[[str, str, bytes | None], Awaitable[Response]]
"""Method, URL (encoded) and JSON body. Raises what aiohttp or httpx raises, and FinalAnswer for too large an answer."""


def fetching(transport: httpx.AsyncBaseTransport) -> Fetch:
    """Requests through ``transport``, without redirects and cookies."""
    if isinstance(transport, Sockets):
        return partial(_by_sockets, transport)
    return partial(_by_transport, transport)


async def _by_sockets(transport: Sockets, method: str, url: str, body: bytes | None) -> Response:
    async with transport.session().request(
        method,
        URL(url, encoded=True),
        headers=_HEADERS if body is None else _WITH_BODY,
        data=body,
        allow_redirects=False,
        auto_decompress=False,
        timeout=_TIMEOUT,
    ) as response:
        return Response(
            response.status,
            response.headers.get("content-type", "").lower(),
            await read_whole(response.content.iter_any(), response.headers.get("content-encoding", "")),
            _seconds(response.headers.get("retry-after")),
        )


async def _by_transport(transport: httpx.AsyncBaseTransport, method: str, url: str, body: bytes | None) -> Response:
    request = httpx.Request(method, url, headers=_HEADERS if body is None else _WITH_BODY, content=body)
    response = await transport.handle_async_request(request)
    async with aclosing(response):
        return Response(
            response.status_code,
            response.headers.get("content-type", "").lower(),
            await read_whole(
                cast(httpx.AsyncByteStream, response.stream), response.headers.get("content-encoding", "")
            ),
            _seconds(response.headers.get("retry-after")),
        )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None
