"""A guard in front of a test's own gateway or the simulator, with a stand-in for the keeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ib_keepalive.guard import Guard
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.trading.policy import PolicyFile, WriteSwitch
from ib_keepalive.upstream.connections import open_transport
from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from ibkr import catalogue
from ibkr.catalogue import Catalogue
from ibkr.session import AuthStatus, LoginStatus, SessionState, Status
from support.serve import InProcess, serve

TOKEN = "guard-token-of-tests"
LOGIN = "https://localhost:5443/"
_BEARER = {"Authorization": f"Bearer {TOKEN}"}


def status_of(state: SessionState, *, since: float = 1.0, **more: Any) -> Status:
    is_open = state is SessionState.AUTHENTICATED
    flags = AuthStatus(connected=True, authenticated=is_open, competing=state is SessionState.COMPETING)
    given = {"auth": flags, "login": LoginStatus(url_hint=LOGIN)} | more
    return Status(state, observed_at=since, state_since=since, **given)


@dataclass
class Session:
    """Stands in for the keeper. ``probes_asked``: how often the guard denied what it says."""

    now: Status = field(default_factory=lambda: status_of(SessionState.AUTHENTICATED))
    asked: int = 0
    probes_asked: int = 0

    def status(self) -> Status:
        return self.now

    async def reauthenticate(self) -> Status:
        self.asked += 1
        return self.now

    def probe_soon(self) -> None:
        self.probes_asked += 1

    def become(self, state: SessionState, **more: Any) -> None:
        self.now = status_of(state, since=self.now.state_since + 1, **more)


@dataclass
class Guarded:
    """``get`` and ``post`` take paths without the API's prefix and send the token; ``client`` takes whole paths."""

    guard: Guard
    pacer: Pacer
    client: httpx.AsyncClient
    session: Session
    metrics: Metrics

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(f"/v1/api{path}", **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.post(f"/v1/api{path}", **more)

    async def rest(self) -> None:
        """Return when nothing of the guard is under way any more; TimeoutError after 20 s."""
        async with asyncio.timeout(20):
            while self.guard.busy:  # noqa: ASYNC110 - it ends in several places
                await asyncio.sleep(0.01)


@asynccontextmanager
async def guard_before(
    gateway_url: str,
    session: Session,
    metrics: Metrics,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    reauthenticate: Callable[[], Awaitable[object]] | None = None,
    wall: Callable[[], float] = time.time,
    record_file: Path | None = None,
    operations: Catalogue | None = None,
    allow_writes: bool = False,
    trading_file: Path | None = None,
) -> AsyncIterator[Guard]:
    settings = KeepaliveSettings(gateway_url=gateway_url, token=TOKEN, record_file=record_file)
    async with (
        aclosing(transport or open_transport(settings)) as way,
        Guard(
            settings,
            way,
            metrics,
            Pacer(catalogue.load(), metrics, journal=record_file, wall=wall),
            status=session.status,
            reauthenticate=reauthenticate or session.reauthenticate,
            refuse_writes=WriteSwitch(PolicyFile(trading_file), allow_writes),
            probe_soon=session.probe_soon,
            wall=wall,
            operations=operations,
        ) as guard,
    ):
        yield guard


@asynccontextmanager
async def guarded(gateway: Any, session: Session | None = None, **more: Any) -> AsyncIterator[Guarded]:
    """A guard before ``gateway`` (an ASGI app), everything on real sockets."""
    session, metrics = session or Session(), Metrics()
    async with (
        serve(gateway) as gateway_url,
        guard_before(gateway_url, session, metrics, **more) as guard,
        serve(guard) as url,
        httpx.AsyncClient(base_url=url, headers=_BEARER, timeout=60) as client,
    ):
        yield Guarded(guard, guard._pacer, client, session, metrics)


@asynccontextmanager
async def guarded_in_process(gateway: Any, session: Session | None = None, **more: Any) -> AsyncIterator[Guarded]:
    """The same without sockets, for tests in virtual time."""
    session, metrics = session or Session(), Metrics()
    more.setdefault("wall", asyncio.get_running_loop().time)
    async with (
        guard_before("http://gateway.test", session, metrics, transport=InProcess(gateway), **more) as guard,
        httpx.AsyncClient(
            base_url="http://guard.test", headers=_BEARER, timeout=None, transport=httpx.ASGITransport(guard)
        ) as client,
    ):
        yield Guarded(guard, guard._pacer, client, session, metrics)


def simulator(*faults: FaultSpec, limits: bool = True) -> Simulator:
    """A simulator with the paper account signed in and its session open."""
    made = Simulator(signed_in="paper", limits=limits)
    for fault in faults:
        made.faults.add(fault)
    return made


def answering_within(seconds: float) -> Catalogue:
    """All operations, none of which may take longer."""
    return Catalogue(tuple(row._replace(answers_within_s=seconds) for row in catalogue.load()))


def asked(gateway: Simulator, operation: str) -> int:
    """How often the gateway was asked ``operation``."""
    return sum(request.endpoint == operation for request in gateway.requests)


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The envelope's content; its code and the HTTP status fit together."""
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() >= {"code", "message", "action"}
    return error
