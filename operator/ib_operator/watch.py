"""Watching pods and BrokerageSessions: for each namespace and kind a list, then what changes, again and again.

Each stream fails and recovers by itself, so that a refused list in one namespace costs nothing in another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from ib_operator.background import BackgroundJobs, TryLater
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import Api, ApiError, Expired
from ib_operator.kubernetes.names import GROUP, PLURAL, POD_LABELS, VERSION
from ib_operator.metrics import Metrics
from ib_operator.reconcile.controller import Controller, Kind
from ib_operator.settings import OperatorSettings

log = structlog.get_logger("ib_operator.watch")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
# A definition may come at any time.
_NOT_SERVED_WAIT_S = 15.0
_SELECTOR = ",".join(f"{name}={value}" for name, value in POD_LABELS.items())


class Watch:
    """``run`` until cancelled; ``is_ready`` once every list has come."""

    def __init__(
        self,
        settings: OperatorSettings,
        api: Api,
        controller: Controller,
        metrics: Metrics,
        jobs: BackgroundJobs,
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._api = api
        self._jobs = jobs
        self._wall = wall
        self._streams = [
            _Stream(kind, namespace, api, controller, metrics, self._tell)
            for namespace in settings.namespaces
            for kind in (("pods", "sessions") if settings.sessions else ("pods",))
        ]

    @property
    def is_ready(self) -> bool:
        return all(stream.is_listed for stream in self._streams)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(stream.run(), name=f"watch {stream.kind} of {stream.namespace}")

    def _tell(self, problem: str) -> None:
        """Post an Event about the operator's own Deployment, the one object that is sure to be there."""
        if self._settings.deployment is None:
            return
        namespace, _, name = self._settings.deployment.partition("/")
        event = bodies.operator_event(namespace, name, problem, self._wall())

        async def post() -> None:
            try:
                await self._api.create_event(event)
            except ApiError as error:
                raise TryLater(str(error)) from error

        self._jobs.submit("event", post, lambda why: log.warning("an Event is lost", reason="WatchFailed", why=why))


class _Stream:
    """One kind in one namespace."""

    def __init__(
        self,
        kind: Kind,
        namespace: str,
        api: Api,
        controller: Controller,
        metrics: Metrics,
        tell: Callable[[str], None],
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.is_listed = False
        self._api = api
        self._controller = controller
        self._is_watched = metrics.watched.labels(namespace, kind)
        self._tell = tell
        self._version = ""
        self._selector: str | None = None
        self._problem: str | None = None
        if kind == "pods":
            self._path, self._selector = f"/api/v1/namespaces/{namespace}/pods", _SELECTOR
        else:
            self._path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
        self._is_watched.set(0)

    async def run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._list()
                wait_s = _FIRST_WAIT_S
                while True:
                    await self._follow()
            except Expired:
                log.info("a watch is too old and begins anew", kind=self.kind, namespace=self.namespace)
            except ApiError as error:
                self._note(error)
                pause_s = _NOT_SERVED_WAIT_S if error.is_gone else wait_s
                await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _list(self) -> None:
        uids: set[str] = set()
        self._version = ""
        async for items, version in self._api.list_all(self._path, self._selector):
            for item in items:
                uids.add(item["metadata"]["uid"])
                self._controller.on_object(self.kind, None, item)
            self._version = version
        self._controller.on_listed(self.kind, self.namespace, uids)
        self.is_listed, self._problem = True, None
        self._is_watched.set(1)

    async def _follow(self) -> None:
        """Hand on what changes until the server ends the watch, as it does every few minutes."""
        began = asyncio.get_running_loop().time()
        async for event in self._api.watch(self._path, self._selector, self._version):
            self._take(event)
        if asyncio.get_running_loop().time() - began < _FIRST_WAIT_S:
            await asyncio.sleep(_FIRST_WAIT_S)

    def _take(self, event: Mapping[str, Any]) -> None:
        body = event["object"]
        self._version = body["metadata"].get("resourceVersion", self._version)
        if event["type"] != "BOOKMARK":
            self._controller.on_object(self.kind, event["type"], body)

    def _note(self, error: ApiError) -> None:
        self._is_watched.set(0)
        problem = f"The {self.kind} of the namespace {self.namespace} cannot be watched: {error}."
        if problem != self._problem:
            self._problem = problem
            log.warning("a watch failed", kind=self.kind, namespace=self.namespace, problem=str(error))
            # A lost server is no news about a namespace, and nobody would take the Event.
            if error.status is not None:
                self._tell(problem)
