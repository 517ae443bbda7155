"""The HTTP client of all parts: no cookies, no redirects, no proxies, nothing packed, and answers within a bound."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ib_service.http.reading import NotUnpacked, read_whole
from ib_service.http.send_once import send_once


def open_client(
    transport: httpx.AsyncBaseTransport, *, name: str, base_url: str = "", timeout: httpx.Timeout
) -> httpx.AsyncClient:
    """A client that calls itself ``name``; call ``aclose`` on it, which closes ``transport`` too."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        timeout=timeout,
        trust_env=False,
        headers={"User-Agent": name, "Accept": "*/*", "Accept-Encoding": "identity"},
    )


async def read_body(response: httpx.Response, most: int, *, packed: bool) -> bytes:
    """The body of a ``response`` that is being streamed; packed ones only where ``packed``. TooLarge, NotUnpacked."""
    encoding = response.headers.get("content-encoding", "")
    if encoding and not packed:
        raise NotUnpacked
    return await read_whole(cast(httpx.AsyncByteStream, response.stream), most, encoding)


async def fetch(http: httpx.AsyncClient, method: str, url: str, *, most: int, **given: Any) -> tuple[int, bytes]:
    """Status and body of one answer. TooLarge beyond ``most`` bytes, NotUnpacked for anything packed."""
    async with http.stream(method, url, **given) as response:
        return response.status_code, await read_body(response, most, packed=False)


def open_sockets(
    connector: Callable[[], aiohttp.BaseConnector], fresh: Callable[[], aiohttp.BaseConnector] | None = None
) -> Sockets:
    """Connections as ``connector`` makes them, when first needed; ``fresh`` makes those of ``fresh_session``."""

    def session(made: Callable[[], aiohttp.BaseConnector]) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=made(), cookie_jar=aiohttp.DummyCookieJar(), middlewares=(send_once,))

    # The connector verifies; loading the system's authorities once more would be in vain.
    sockets = Sockets(client=lambda: session(connector), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    sockets.make_fresh = lambda: session(fresh or connector)
    return sockets


class Sockets(AiohttpTransport):
    """Tells connections that could not be made, in time or at all, from those that broke later.

    Only the former sent nothing; the transport below calls all of them ConnectTimeout.
    """

    make_fresh: Callable[[], aiohttp.ClientSession]
    _fresh: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """The connections themselves, which ``aclose`` closes."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        return self.client

    def fresh_session(self) -> aiohttp.ClientSession:
        """Connections of which each carries one request: none that the other side is just about to close."""
        if self._fresh is None:
            self._fresh = self.make_fresh()
        return self._fresh

    async def aclose(self) -> None:
        await super().aclose()
        if self._fresh is not None:
            await self._fresh.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectTimeout as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            kind = httpx.ConnectError if isinstance(error.__cause__, aiohttp.ClientConnectorError) else httpx.ReadError
            raise kind(str(error), request=request) from error.__cause__
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
