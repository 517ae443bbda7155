"""Watching pods and BrokerageSessions through kopf, again and again.

Only ``on.event`` is used: timers, daemons and the other handlers write finalizers or annotations, and an object that
waits for a finalizer of an uninstalled operator never goes. kopf looks for kinds once when it starts and ends when a
watched kind disappears; both are cured by starting it again inside this process, while supervision goes on.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import kopf
import structlog
from kopf._core.engines.peering import Identity

from ib_operator.kubernetes.api import Api, ApiError, read_token, trust
from ib_operator.kubernetes.names import GROUP, MANAGER, PLURAL, POD_LABELS, VERSION
from ib_operator.reconcile.controller import Controller
from ib_operator.settings import OperatorSettings

log = structlog.get_logger("ib_operator.watch")

_KINDS_LOOK_S = 15.0
_RESTART_S = 2.0
# What cannot work ends sooner.
_STANDS_S = 1.5
_GOODBYE_S = 0.25
_SELECTOR = ",".join(f"{name}={value}" for name, value in POD_LABELS.items())


@dataclass(frozen=True, kw_only=True)
class _Connection(kopf.ConnectionInfo):
    """kopf's connection with our trust in the API server."""

    context: ssl.SSLContext | None

    def as_ssl_context(self) -> ssl.SSLContext:
        return self.context or super().as_ssl_context()


class Watch:
    """``run`` until cancelled; ``is_ready`` while the watch stands."""

    def __init__(self, settings: OperatorSettings, api: Api, controller: Controller) -> None:
        self._settings = settings
        self._api = api
        self._controller = controller
        self._loop = asyncio.get_running_loop()
        self.is_ready = False

    async def run(self) -> None:
        while True:
            serves = await self._serves_sessions(before=None)
            try:
                await self._watch(serves)
            # kopf ends with whatever ended one of its tasks: a kind that is gone, a refused watch, a lost server.
            except Exception as error:
                log.warning("the watch ended and begins anew", problem=repr(error))
            await asyncio.sleep(_RESTART_S)

    async def _watch(self, serves: bool) -> None:
        """Watch until there is another set of kinds to watch."""
        # A thread and a loop of its own: kopf cancels every task that its loop got meanwhile when it ends, and takes
        # over the signals of the main thread.
        stop = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="kopf") as thread:
            watching = self._loop.run_in_executor(thread, self._run_kopf, serves, stop)
            kinds = asyncio.create_task(self._watch_kinds(serves, stop), name="kinds")
            stands = self._loop.call_later(_STANDS_S, self._stand)
            try:
                await asyncio.shield(watching)
            finally:
                stop.set()
                stands.cancel()
                self.is_ready = False
                kinds.cancel()
                await asyncio.gather(kinds, watching, return_exceptions=True)

    def _run_kopf(self, serves: bool, stop: threading.Event) -> None:
        async def operate() -> None:
            try:
                await kopf.operator(
                    registry=self._registry(serves),
                    settings=self._kopf_settings(),
                    namespaces=list(self._settings.namespaces),
                    # Otherwise it looks for the name of the user, whom a container need not have.
                    identity=Identity(MANAGER),
                    standalone=True,
                    stop_flag=stop,
                )
            finally:
                # kopf waits for it in a thread that would hold this loop up.
                stop.set()
                # TLS connections say goodbye after they are closed; a loop that ends before leaks their sockets.
                await asyncio.sleep(_GOODBYE_S)

        asyncio.run(operate())

    def _stand(self) -> None:
        self.is_ready = True

    async def _watch_kinds(self, serves: bool, again: threading.Event) -> None:
        while True:
            await asyncio.sleep(_KINDS_LOOK_S)
            if await self._serves_sessions(before=serves) != serves:
                break
        log.info("BrokerageSessions appeared" if not serves else "BrokerageSessions disappeared")
        again.set()

    async def _serves_sessions(self, before: bool | None) -> bool:
        """Whether there are BrokerageSessions; while nobody can tell: as ``before``, or wait where it is None."""
        while True:
            try:
                return await self._api.serves_sessions(self._settings.namespaces[0])
            except ApiError as error:
                if before is not None:
                    return before
                log.warning("cannot look for BrokerageSessions", problem=str(error))
                await asyncio.sleep(_RESTART_S)

    def _registry(self, serves_sessions: bool) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        controller, loop, settings = self._controller, self._loop, self._settings

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return _Connection(
                server=settings.api_url,
                context=trust(settings),
                scheme="Bearer",
                token=read_token(settings.api_token_file),
            )

        @kopf.on.event("v1", "pods", labels=POD_LABELS, registry=registry)
        async def pod(event: kopf.RawEvent, **_: Any) -> None:
            loop.call_soon_threadsafe(controller.on_pod, event["type"], event["object"])

        if serves_sessions:

            @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
            async def session(event: kopf.RawEvent, **_: Any) -> None:
                loop.call_soon_threadsafe(controller.on_session, event["type"], event["object"])

        return registry

    def _kopf_settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.posting.reporting_component = MANAGER
        settings.watching.label_selectors["v1", "pods"] = _SELECTOR
        # A thousand pods at once would be the process's peak of memory.
        settings.watching.chunk_size = 100
        settings.queueing.worker_limit = 20
        # A worker waits so long for more of its object; others wait for the worker.
        settings.queueing.idle_timeout = 0.1
        settings.networking.request_timeout = 30
        settings.process.ultimate_exiting_timeout = None
        return settings


def quieten() -> None:
    """kopf tells of every event and every retry; what ends it is told by us."""
    logging.getLogger("kopf").setLevel(logging.CRITICAL)
