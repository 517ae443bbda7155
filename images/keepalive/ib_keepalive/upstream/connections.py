"""The one way to the gateway: a pool of connections, and a client without cookies that never follows redirects."""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ib_keepalive.settings import KeepaliveSettings

# Every caller sets limits of its own; this one only catches who forgot.
_TIMEOUT = httpx.Timeout(60, connect=5)
_CONNECTIONS = 32


def open_client(settings: KeepaliveSettings, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client whose relative URLs are the gateway's; call ``aclose`` on it, which closes ``transport`` too."""
    return httpx.AsyncClient(
        base_url=settings.gateway_url,
        transport=transport or open_transport(settings),
        # The gateway holds the session; a cookie that comes back from us could plant another one.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        timeout=_TIMEOUT,
        trust_env=False,
        headers={"User-Agent": "ib-mcp", "Accept": "*/*"},
    )


def open_transport(settings: KeepaliveSettings) -> httpx.AsyncBaseTransport:
    """Connections to the gateway, made when first needed; call ``aclose`` on it."""
    verification = _verification(settings)

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verification, limit=_CONNECTIONS, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(send_once,),
        )

    return Sockets(verify=verification, client=session)


class ConnectionLost(aiohttp.ClientError):
    """The connection broke after a request was sent on it, perhaps."""


async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp by itself sends all but POST again when the connection breaks.

    IBKR would count it twice, or do twice what it asks for.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(str(error)) from error


class Sockets(AiohttpTransport):
    """Tells connections that could not be made, in time or at all, from those that broke later.

    Only the former sent nothing; the transport below calls all of them ConnectTimeout.
    """

    def session(self) -> aiohttp.ClientSession:
        """The connections themselves, which ``aclose`` closes."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        return self.client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectTimeout as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            kind = httpx.ConnectError if isinstance(error.__cause__, aiohttp.ClientConnectorError) else httpx.ReadError
            raise kind(str(error)) from error.__cause__
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error)) from error


def _verification(settings: KeepaliveSettings) -> ssl.SSLContext:
    if settings.gateway_ca_file is not None:
        return ssl.create_default_context(cafile=str(settings.gateway_ca_file))
    context = ssl.create_default_context()
    if _is_loopback(urlsplit(settings.gateway_url).hostname or ""):
        # IBKR ships a key pair that everybody has: verifying it would prove nothing.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
