"""A keepalive that can be killed at any moment, as a process is: nothing of it writes, sends or answers any more."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from support.inline import Inline
from support.keepalive import settings
from support.serve import InProcess

APPROVER = "approver-secret-of-tests"


@cache
def _usual() -> KeepaliveSettings:
    """Reading them takes longer than the rest of a start."""
    return settings(maintenance_hours=False, auto_reopen=True)


class Cut(Exception):
    """The connection to the guard broke: whoever called does not know what happened."""


class _Wire(httpx.AsyncBaseTransport):
    """The way to the gateway, which carries a request out whether or not anybody still waits for its answer."""

    def __init__(self, app: Any) -> None:
        self._way = InProcess(app)
        self._running: set[asyncio.Task[httpx.Response]] = set()
        self.is_cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("cut", request=request)
        task = asyncio.create_task(self._way.handle_async_request(request))
        self._running.add(task)
        task.add_done_callback(self._landed)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            mine = asyncio.current_task()
            if task.cancelled() and mine is not None and not mine.cancelling():
                raise httpx.ReadError("the gateway's program ended", request=request) from None
            raise

    def _landed(self, task: asyncio.Task[httpx.Response]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    def break_connections(self) -> None:
        """The gateway's program ends: what it had taken and not passed on is gone."""
        for task in self._running:
            task.cancel()


class Pod:
    """One keepalive before ``broker``; ``directory`` is its volume, with the policy in it."""

    def __init__(self, broker: Simulator, directory: Path) -> None:
        self.directory = directory
        self._wire = _Wire(broker.app)
        (directory / "approver").write_text(APPROVER)
        given = _usual().model_copy(
            update={
                "trading_file": directory / "policy.toml",
                "trading_dir": directory,
                "approver_token_file": directory / "approver",
                "record_file": directory / "record.json",
            }
        )
        self.keepalive = Keepalive(given, self._wire, broker.clock.now, Inline())
        self._dead = asyncio.Event()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.keepalive.data),
            base_url="http://guard.test",
            headers={"Authorization": "Bearer token-of-tests"},
            timeout=None,
        )

    async def start(self) -> None:
        await self.keepalive.__aenter__()

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The guard's answer. Cut when it dies before."""
        if self._dead.is_set():
            raise Cut
        asking = asyncio.ensure_future(self._client.request(method, path, **more))
        dying = asyncio.ensure_future(self._dead.wait())
        try:
            await asyncio.wait({asking, dying}, return_when=asyncio.FIRST_COMPLETED)
            if self._dead.is_set():
                raise Cut
            return asking.result()
        finally:
            dying.cancel()
            asking.cancel()

    def break_connections(self) -> None:
        self._wire.break_connections()

    async def kill(self) -> None:
        """As by SIGKILL: what is on the disk is what was there at this moment."""
        self._dead.set()
        self._wire.is_cut = True
        connection = self.keepalive.trading.ledger._database._connection
        if connection is not None:
            connection.close()
        with contextlib.suppress(Exception):
            await self.keepalive.__aexit__(None, None, None)
        await self._client.aclose()

    async def stop(self) -> None:
        """As by SIGTERM."""
        self._dead.set()
        await self.keepalive.__aexit__(None, None, None)
        await self._client.aclose()
