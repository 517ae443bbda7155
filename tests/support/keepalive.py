"""A keepalive in front of a scripted gateway, in process, for tests in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings

GATEWAY = "http://gateway.test"
OPEN = {"authenticated": True, "competing": False, "connected": True}
LOST = {"authenticated": False, "competing": False, "connected": True}
TAKEN = {"authenticated": False, "competing": True, "connected": True}
OFFLINE = {"authenticated": False, "competing": False, "connected": False}

# A Tuesday at noon in New York: far from midnight, resets and maintenance.
NOON = 1795539600.0


@dataclass
class FakeGateway:
    """Answers every session question with ``says``: flags, a status code, ``"silence"``, or a ready answer.

    ``opens`` is what ``ssodh/init`` makes it say. ``local`` is what the gateway's own pages do.
    """

    says: Any = field(default_factory=lambda: OPEN)
    opens: Any = None
    local: Any = 200
    accounts: Any = field(default_factory=lambda: {"accounts": ["DU1234567"], "isPaper": True})
    validation: Any = field(default_factory=lambda: {"USER_NAME": "somebody", "LOGIN_TYPE": 2})
    sso_left_ms: int = 460_000
    delay_s: float = 0
    calls: list[tuple[float, str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def times(self, path_end: str) -> list[float]:
        """Loop seconds at which a path ending so was asked."""
        return [at for at, path, _ in self.calls if path.endswith(path_end)]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v1/am/x":
            return await _respond(self.local, request)
        self.calls.append((asyncio.get_running_loop().time(), path, request.content))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay_s)
            return await _respond(self._choose(path), request)
        finally:
            self.in_flight -= 1

    def _choose(self, path: str) -> Any:
        if path.endswith("/iserver/auth/ssodh/init") and self.opens is not None:
            self.says = self.opens
        if not isinstance(self.says, dict):
            return self.says
        if path.endswith("/tickle"):
            return {
                "session": "s3cr3t",
                "ssoExpires": self.sso_left_ms,
                "hmds": {"error": "no bridge"},
                "iserver": {"authStatus": self.says},
            }
        if path.endswith("/sso/validate"):
            return self.validation
        return self.accounts if path.endswith("/iserver/accounts") else self.says


async def _respond(what: Any, request: httpx.Request) -> httpx.Response:
    if what == "silence":
        await asyncio.Event().wait()
    if what == "refuse":
        raise httpx.ConnectError("refused", request=request)
    if what == "cut":
        raise httpx.ReadError("reset", request=request)
    if isinstance(what, httpx.Response):
        return httpx.Response(what.status_code, headers=what.headers, content=what.content)
    if isinstance(what, int):
        return httpx.Response(what, json={"error": f"answer {what}"})
    return httpx.Response(200, json=what)


async def eventually(what: Callable[[], bool], within: float = 600) -> None:
    """Return as soon as ``what`` holds; TimeoutError after so many (virtual) seconds."""
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - virtual time passes only where somebody sleeps
            await asyncio.sleep(0.5)


@dataclass
class Kept:
    """A running keepalive; ``ask`` and ``browse`` speak to its control and login ports."""

    keepalive: Keepalive
    gateway: FakeGateway
    ask: httpx.AsyncClient
    browse: httpx.AsyncClient

    @property
    def state(self) -> str:
        return self.keepalive.keeper.status().state.value

    async def reauthenticate(self) -> httpx.Response:
        return await self.ask.post("/reauthenticate")


def settings(**given: Any) -> KeepaliveSettings:
    return KeepaliveSettings(**({"gateway_url": GATEWAY, "token": "token-of-tests"} | given))


@asynccontextmanager
async def keeping(
    gateway: FakeGateway | None = None, *, wall: Callable[[], float] | None = None, **given: Any
) -> AsyncIterator[Kept]:
    """A keepalive with ``given`` settings; the calendar starts on a Tuesday at noon and follows the loop."""
    gateway = gateway or FakeGateway()
    loop = asyncio.get_running_loop()
    started = loop.time()
    keepalive = Keepalive(
        settings(**given),
        transport=httpx.MockTransport(gateway.answer),
        wall=wall or (lambda: NOON + loop.time() - started),
    )
    async with (
        keepalive,
        httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.control), base_url="http://127.0.0.1:8081") as ask,
        httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.login), base_url="http://localhost:5443") as browse,
    ):
        yield Kept(keepalive, gateway, ask, browse)
