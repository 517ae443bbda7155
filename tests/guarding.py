"""A guard on a real socket in front of a test's own gateway."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from ib_keepalive.guard import Guard
from ib_keepalive.metrics import Metrics
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.upstream import open_client
from ibkr.session import LoginStatus, SessionState, Status
from serve import serve

TOKEN = "guard-token-of-tests"


def status_of(state: SessionState, *, since: float = 1.0, **more: Any) -> Status:
    return Status(state, observed_at=since, state_since=since, login=LoginStatus(url_hint="http://login"), **more)


@dataclass
class Session:
    """Stands in for the keeper."""

    now: Status = field(default_factory=lambda: status_of(SessionState.AUTHENTICATED))
    asked: int = 0

    def status(self) -> Status:
        return self.now

    async def reauthenticate(self) -> Status:
        self.asked += 1
        return self.now

    def become(self, state: SessionState, **more: Any) -> None:
        self.now = status_of(state, since=self.now.state_since + 1, **more)


@asynccontextmanager
async def guard_before(
    gateway_url: str,
    session: Session | None = None,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    metrics: Metrics | None = None,
    wall: Callable[[], float] = time.time,
    reauthenticate: Callable[[], Awaitable[object]] | None = None,
) -> AsyncIterator[Guard]:
    session = session or Session()
    settings = KeepaliveSettings(gateway_url=gateway_url, token=TOKEN)
    async with open_client(settings, transport) as client:
        guard = Guard(
            settings,
            client,
            metrics or Metrics(),
            status=session.status,
            reauthenticate=reauthenticate or session.reauthenticate,
            wall=wall,
        )
        async with guard:
            yield guard


@asynccontextmanager
async def guarded(gateway: Any, session: Session | None = None, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the token of a guard before ``gateway`` (an ASGI app), everything on real sockets."""
    async with (
        serve(gateway) as gateway_url,
        guard_before(gateway_url, session, **more) as guard,
        serve(guard) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client,
    ):
        yield client
