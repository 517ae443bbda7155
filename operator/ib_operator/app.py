"""The operator process as an object."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

import httpx

from ib_operator import http_client
from ib_operator.background import Errands
from ib_operator.kubernetes.api import Api
from ib_operator.metrics import Metrics
from ib_operator.rate_limiter import Limiter
from ib_operator.reconcile.controller import Fleet
from ib_operator.services import Tools
from ib_operator.settings import OperatorSettings
from ib_operator.watch import Watch


class Operator:
    """``fleet`` supervises what ``watch`` (or a test) shows it. Build it inside a running event loop.

    ``pods`` stands in for the sockets to pods and channels, ``kubernetes`` for those to the API server, ``wall`` for
    the calendar's clock (epoch seconds).
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        pods: httpx.AsyncBaseTransport | None = None,
        kubernetes: httpx.AsyncBaseTransport | None = None,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.metrics = Metrics()
        self.api = Api(settings, self.metrics, kubernetes)
        self.errands = Errands()
        self._client = http_client.open_client(pods or http_client.sockets(reuse=False))
        tools = Tools(
            api=self.api,
            client=self._client,
            limiter=Limiter(settings.reauth_per_s),
            errands=self.errands,
            metrics=self.metrics,
            channels_dir=settings.channels_dir,
            control_port=settings.control_port,
            poll_s=settings.poll_s,
            wall=wall,
            chance=chance,
        )
        self.fleet = Fleet(tools)
        self.watch = Watch(settings, self.api, self.fleet)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self.api.close)
        self._stack.push_async_callback(self._client.aclose)
        self._stack.push_async_callback(self.errands.close)
        self._stack.push_async_callback(self.fleet.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
