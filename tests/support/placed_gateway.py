"""One of several gateways in commotion, with a name and a way to its keepalive that breaks now and then."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from contextvars import ContextVar
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx

from ib_simulator.world.accounts import UserKey
from support.serve import InProcess
from support.troubled import TROUBLES, USERS, Troubled

ALL_TROUBLES = (*TROUBLES, "signed_out", "signed_out", "gone", "silent", "silent", "restart")
MOST_WAIT_S = 3.05

# Requests of the present question: name of the gateway, path, loop second.
sent: ContextVar[list[tuple[str, str, float]] | None] = ContextVar("sent", default=None)


class Way(httpx.AsyncBaseTransport):
    """From the MCP server to one keepalive. ``mode``: open, gone (takes no connection) or silent."""

    def __init__(self, gateway: Placed) -> None:
        self._gateway = gateway
        self.mode = "open"
        self._changed = asyncio.Event()

    def become(self, mode: str) -> None:
        """Break what is under way, unless it only waits in silence from now on."""
        was, self.mode = self.mode, mode
        if mode != "silent" or was == "silent":
            self._changed.set()
            self._changed = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        changed = self._changed
        if (noted := sent.get()) is not None:
            noted.append((self._gateway.name, request.url.path, asyncio.get_running_loop().time()))
        if self.mode == "gone":
            raise httpx.ConnectError("gone", request=request)
        answer = asyncio.ensure_future(self._ask(request))
        cut = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait({answer, cut}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise httpx.ReadError("cut", request=request)
        finally:
            for task in (answer, cut):
                task.cancel()
            await asyncio.gather(answer, cut, return_exceptions=True)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        if self.mode != "silent":
            response = await InProcess(self._gateway.keepalive.data).handle_async_request(request)
            if self.mode != "silent":
                return response
        await asyncio.Event().wait()
        raise AssertionError


class Placed(Troubled):
    """A gateway with a name, and the way to its keepalive."""

    def __init__(self, random: Random, name: str, user: UserKey) -> None:
        self._folder = TemporaryDirectory()
        record = Path(self._folder.name) / "requests.json"
        super().__init__(random, user, login=f"https://{name}.test/", record_file=record)
        self.name = name
        self.login = f"https://{name}.test/"
        self.way = Way(self)
        # In the present spell, waits that touch each other as one.
        self._waits: list[tuple[float, float]] = []
        self.signed_out_since: float | None = None
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self._stack.enter_async_context(self.keepalive)

    async def stop(self) -> None:
        await self._stack.aclose()

    def forget(self) -> None:
        """Nothing of it is left on disk."""
        self._folder.cleanup()

    @property
    def calm_s(self) -> float:
        """For how long nothing has happened to it."""
        limits, now = self.broker.limits, self.broker.clock.now()
        is_refused = limits.boxed_until > now
        if not self.is_well or is_refused or self.broker.session.user is None:
            return 0.0
        penalty_over_s = now - limits.boxed_until
        return min(self._loop.time() - max(self.well_since, self.signed_in_at), penalty_over_s)

    async def suffer(self, trouble: str) -> None:
        self._waits = []
        if trouble == "signed_out":
            self.signed_out_since = self._loop.time()
        await super().suffer(trouble)
        self.signed_out_since = None

    def note_wait(self, since: float, until: float) -> bool:
        """Whether those who waited for this one in its present spell waited for three seconds at most."""
        touching = [wait for wait in self._waits if wait[0] <= until and since <= wait[1]]
        whole = (
            (min(since, *(wait[0] for wait in touching)), max(until, *(wait[1] for wait in touching)))
            if touching
            else (since, until)
        )
        self._waits = [wait for wait in self._waits if wait not in touching] + [whole]
        return sum(end - begin for begin, end in self._waits) <= MOST_WAIT_S

    async def _do(self, trouble: str) -> None:
        match trouble:
            case "gone" | "silent":
                self.way.become(trouble)
                if self.random.random() < 0.2:
                    self.sign_in(self.random.choice(USERS))
                await asyncio.sleep(self.random.uniform(5, 300))
                self.way.become("open")
            case "restart":
                self.way.become("gone")
                await self.stop()
                await asyncio.sleep(self.random.uniform(2, 20))
                self.renew()
                await self.start()
                self.way.become("open")
                await asyncio.sleep(20)
            case "errors":
                self.is_well = False
                await super()._do(trouble)
            case _:
                await super()._do(trouble)
