"""One HTTP request to the guard: over sockets, or through httpx's transport, into which tests put an app.

On sockets aiohttp is used as it is: httpx's layer over it would take a tenth of a tool call's CPU.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import aiohttp
import httpx
from yarl import URL

from ib_service.http.reading import NotUnpacked, TooLarge, read_whole
from ib_service.http.send_once import send_once
from ibkr.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable

# The guard answers in time by itself; these only end a connection on which nothing comes any more.
_CONNECT_S, _SILENT_S = 3, 60
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_SILENT_S)
# Questions have to wait in the guard's line, which is fair and knows their deadlines, not for a connection to it.
# The guard takes 512.
_CONNECTIONS = 480
_IDLE_S = 15
_ONCE = (send_once,)
_UNREACHABLE = "The guard of IBKR's gateway cannot be reached."
LARGEST_ANSWER = 4 * 1024 * 1024


class NotSent(UpstreamUnreachable):
    """The guard takes no connection, so that nothing was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` are found in any case of letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


Send = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Answer]]
"""Method, URL (encoded), headers and body. UpstreamUnreachable or UpstreamTimeout when there is no answer."""


@asynccontextmanager
async def by_sockets() -> AsyncIterator[Send]:
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS, keepalive_timeout=_IDLE_S, ssl=httpx.create_ssl_context(trust_env=False)
    )

    async def send(method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        try:
            async with session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=content,
                allow_redirects=False,
                # What only asks may be sent again on another connection.
                middlewares=() if method == "GET" else _ONCE,
            ) as response:
                return Answer(
                    response.status,
                    response.headers,
                    await _whole(response.content.iter_any(), response.headers),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _unsent() from error
        except aiohttp.SocketTimeoutError as error:
            raise _silent() from error
        except aiohttp.ClientError as error:
            raise _unreachable() from error

    async with aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        yield send


@asynccontextmanager
async def by_transport(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Send]:
    async def send(method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        request = httpx.Request(method, url, headers=headers, content=content)
        try:
            response = await transport.handle_async_request(request)
            try:
                whole = await _whole(cast(httpx.AsyncByteStream, response.stream), response.headers)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _unsent() from error
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise _silent() from error
        except httpx.TransportError as error:
            raise _unreachable() from error
        return Answer(response.status_code, response.headers, whole)

    async with transport:
        yield send


async def _whole(parts: AsyncIterable[bytes], headers: Mapping[str, str]) -> bytes:
    try:
        return await read_whole(parts, LARGEST_ANSWER, headers.get("content-encoding", ""))
    except TooLarge:
        message = f"IBKR's answer is larger than the {LARGEST_ANSWER >> 20} MiB that this server reads."
        raise UpstreamError(message, action="Ask for less at once.") from None
    except NotUnpacked:
        raise UpstreamError("The answer is packed in a way that cannot be read.") from None


def _silent() -> UpstreamTimeout:
    return UpstreamTimeout("The guard of IBKR's gateway accepted the request but did not answer.")


def _unreachable() -> UpstreamUnreachable:
    return UpstreamUnreachable(_UNREACHABLE)


def _unsent() -> NotSent:
    return NotSent(_UNREACHABLE)
