"""The operator process as an object."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self

import httpx

from ib_operator import http_client
from ib_operator.background import BackgroundJobs
from ib_operator.kubernetes.api import Api
from ib_operator.metrics import Metrics
from ib_operator.rate_limiter import RateLimiter
from ib_operator.reconcile.controller import Controller
from ib_operator.services import OperatorName, Services
from ib_operator.settings import OperatorSettings
from ib_operator.watch import Watch


class Operator:
    """``controller`` supervises what ``watch`` (or a test) shows it. Build it inside a running event loop.

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
        self.jobs = BackgroundJobs()
        # Apart from each other, so that channels that hang hold no gateway up.
        self._pods, self._channels = (
            http_client.open_client(pods or http_client.sockets(reuse=False)) for _ in range(2)
        )
        services = Services(
            api=self.api,
            pods=self._pods,
            channels=self._channels,
            limiter=RateLimiter(settings.reauth_per_s),
            jobs=self.jobs,
            metrics=self.metrics,
            operator=_name(settings),
            has_sessions=settings.sessions,
            channels_dir=settings.channels_dir,
            control_port=settings.control_port,
            poll_s=settings.poll_s,
            wall=wall,
            chance=chance,
        )
        self.controller = Controller(services)
        self.watch = Watch(settings, self.api, self.controller, self.metrics, self.jobs, wall)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self.api.close)
        self._stack.push_async_callback(self._pods.aclose)
        self._stack.push_async_callback(self._channels.aclose)
        self._stack.push_async_callback(self.jobs.close)
        self._stack.push_async_callback(self.controller.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _name(settings: OperatorSettings) -> OperatorName | None:
    if settings.name is None:
        return None
    namespace, _, gateway = settings.own_gateway.partition("/")
    return OperatorName(settings.name, (namespace, gateway))
