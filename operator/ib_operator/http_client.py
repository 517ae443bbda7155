"""The HTTP clients of the operator: one for pods and channels, one for the Kubernetes API."""

from __future__ import annotations

import ssl

import aiohttp
import httpx

from ib_service.http import client


def open_client(transport: httpx.AsyncBaseTransport, *, base_url: str = "") -> httpx.AsyncClient:
    """A client without cookies, redirects and proxies; the caller closes it."""
    return client.open_client(transport, name="ib-mcp-operator", base_url=base_url, timeout=httpx.Timeout(10))


def sockets(verify: ssl.SSLContext | None = None, *, reuse: bool = True) -> httpx.AsyncBaseTransport:
    """Real connections. ``reuse=False``: one per request, since a thousand idle ones would cost their memory.

    Their number is the caller's to bound, before the time limit of a request begins.
    """
    return client.open_sockets(lambda: aiohttp.TCPConnector(ssl=verify or True, limit=0, force_close=not reuse))
