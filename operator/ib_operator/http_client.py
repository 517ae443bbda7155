"""The HTTP clients of the operator: one for pods and channels, one for the Kubernetes API."""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


def open_client(transport: httpx.AsyncBaseTransport | None = None, *, base_url: str = "") -> httpx.AsyncClient:
    """A client without cookies, redirects and proxies; the caller closes it."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        timeout=httpx.Timeout(10),
        trust_env=False,
        headers={"User-Agent": "ib-mcp-operator"},
    )


def sockets(verify: ssl.SSLContext | None = None, *, reuse: bool = True) -> httpx.AsyncBaseTransport:
    """Real connections. ``reuse=False``: one per request, since a thousand idle ones would cost their memory.

    Their number is the caller's to bound, before the time limit of a request begins.
    """

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=verify or True, limit=0, force_close=not reuse)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return _Transport(client=session)


class _Transport(AiohttpTransport):
    """Lets no aiohttp error through that httpx has a name for."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
