"""The keepalive process as an object: three ASGI apps and the keeper that runs behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from typing import Self

import httpx
from starlette.types import ASGIApp

from ib_keepalive.control import create_control
from ib_keepalive.guard import Guard
from ib_keepalive.guard.auth import Token
from ib_keepalive.login import create_login
from ib_keepalive.metrics import Metrics
from ib_keepalive.oauth1.credentials import read_credentials
from ib_keepalive.oauth1.live_tokens import LiveTokens
from ib_keepalive.oauth1.transport import SignedTransport
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.session.keeper import Keeper
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.trading.policy import PolicyFile, WriteSwitch
from ib_keepalive.trading.routes import TradingRoutes
from ib_keepalive.trading.service import Trading
from ib_keepalive.upstream.connections import open_client, open_transport
from ibkr import catalogue


class Keepalive:
    """``data``, ``login`` and ``control`` are ASGI apps; ``async with`` runs the keeper behind them.

    Build it inside a running event loop. ``transport`` stands in for the sockets to the gateway, ``wall`` for the
    calendar's clock (epoch seconds), ``executor`` for the thread that waits for the disk.
    """

    def __init__(
        self,
        settings: KeepaliveSettings,
        transport: httpx.AsyncBaseTransport | None = None,
        wall: Callable[[], float] = time.time,
        executor: Executor | None = None,
    ) -> None:
        self.metrics = Metrics()
        transport = transport or open_transport(settings)
        tokens: LiveTokens | None = None
        if settings.backend == "oauth1" and settings.oauth1_dir is not None:
            tokens = LiveTokens(transport, read_credentials(settings.oauth1_dir), settings.gateway_url, wall)
            transport = SignedTransport(transport, tokens)
        self._client = open_client(settings, transport)
        self._pacer = Pacer(catalogue.load(), self.metrics, journal=settings.record_file, wall=wall)
        self.keeper = Keeper(settings, self._client, self.metrics, pacing=self._pacer, wall=wall)
        if tokens is not None:
            tokens.renewed = self.keeper.tracker.note_live_token
            self.keeper.tracker.trouble = lambda: tokens.trouble
        self.policy = PolicyFile(settings.trading_file)
        self.guard = Guard(
            settings,
            transport,
            self.metrics,
            self._pacer,
            status=self.keeper.status,
            glance=self.keeper.tracker.glance,
            reauthenticate=self.keeper.reauthenticate,
            refuse_writes=WriteSwitch(self.policy, settings.allow_writes),
            probe_soon=self.keeper.tracker.probe_soon,
            heard=self.keeper.tracker.note_answer,
            listed=self.keeper.tracker.note_list,
            wall=wall,
        )
        self.trading = Trading(
            self.policy,
            settings.trading_dir,
            guard=self.guard,
            operations=catalogue.load(),
            wall=wall,
            approval_url=settings.approvals_at,
            metrics=self.metrics,
            executor=executor,
        )
        approver = settings.approver_token_file
        self.guard.orders = TradingRoutes(
            self.trading, None if approver is None else Token(approver.read_text("utf-8").strip())
        )
        self.data: ASGIApp = self.guard
        self.login: ASGIApp = create_login(settings, self._client, self.keeper, self.trading, wall)
        self.control: ASGIApp = create_control(settings, self.keeper, self.metrics, self.trading, alive=self.is_alive)
        self._task: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._client.aclose)
        await self._stack.enter_async_context(self.guard)
        await self.trading.open()
        self._stack.push_async_callback(self.trading.close)
        self._task = asyncio.create_task(self.keeper.run(), name="keeper")
        self._stack.push_async_callback(self._stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def is_alive(self) -> bool:
        """Whether the keeper is at work."""
        return self._task is not None and not self._task.done() and self.keeper.is_turning

    async def wait(self) -> None:
        """Return when the keeper ended, with the error that ended it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
