"""The one way to the gateway: a pool of connections, and a client without cookies that never follows redirects."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import aiohttp
import httpx

from ib_keepalive.settings import KeepaliveSettings
from ib_service.http import client
from ib_service.http.addresses import is_loopback

# Every caller sets limits of its own; this one only catches who forgot.
_TIMEOUT = httpx.Timeout(60, connect=5)
_CONNECTIONS = 32


def open_client(settings: KeepaliveSettings, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client whose relative URLs are the gateway's; call ``aclose`` on it, which closes ``transport`` too.

    The gateway holds the session: a cookie that came back from us could plant another one.
    """
    given = transport or open_transport(settings)
    return client.open_client(given, name="ib-mcp", base_url=settings.gateway_url, timeout=_TIMEOUT)


def open_transport(settings: KeepaliveSettings) -> httpx.AsyncBaseTransport:
    """Connections to the gateway, made when first needed; call ``aclose`` on it."""
    verification = _verification(settings)
    return client.open_sockets(
        lambda: aiohttp.TCPConnector(ssl=verification, limit=_CONNECTIONS, keepalive_timeout=30),
        lambda: aiohttp.TCPConnector(ssl=verification, limit=_CONNECTIONS, force_close=True),
    )


def _verification(settings: KeepaliveSettings) -> ssl.SSLContext:
    if settings.gateway_ca_file is not None:
        return ssl.create_default_context(cafile=str(settings.gateway_ca_file))
    context = ssl.create_default_context()
    if is_loopback(urlsplit(settings.gateway_url).hostname or ""):
        # IBKR ships a key pair that everybody has: verifying it would prove nothing.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
