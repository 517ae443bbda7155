"""Serving ASGI apps to tests: on a real socket inside the test's loop, or in process with network errors kept."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from ib_simulator.network.listener import Listener


@asynccontextmanager
async def serve(app: Any, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL (``http://127.0.0.1:PORT``, no slash at the end) at which ``app`` answers, lifespan included.

    Ending the block breaks open connections and cancels running requests. For a simulator's app the faults that
    need a socket (reset, cut, refuse) work here.
    """
    listener = Listener(app, tls=tls, gate=getattr(app, "gate", None))
    async with listener:
        yield listener.url


class InProcess(httpx.ASGITransport):
    """``httpx.ASGITransport`` that turns an app's ConnectionError into the httpx error that a socket would give."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        except ConnectionError as error:
            raise httpx.ReadError(str(error), request=request) from error
