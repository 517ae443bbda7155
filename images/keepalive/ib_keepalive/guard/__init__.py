"""The data port: the gateway's API for callers with the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

import httpx
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ib_keepalive.metrics import Metrics
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import OperationUnknown
from ibkr.session import Status


class _Pacer:
    def spend(self, endpoint_id: str) -> None:
        """Count a request that is sent outside the queue."""


class Guard:
    """An ASGI app; ``async with`` runs what it needs behind it."""

    def __init__(
        self,
        settings: KeepaliveSettings,
        client: httpx.AsyncClient,
        metrics: Metrics,
        *,
        status: Callable[[], Status],
        reauthenticate: Callable[[], Awaitable[Status]],
    ) -> None:
        self.pacer = _Pacer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = OperationUnknown("The data port is not there yet.")
        await JSONResponse(error.envelope(), error.status)(scope, receive, send)
