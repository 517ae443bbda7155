"""Watching pods and BrokerageSessions through kopf, again and again.

Only ``on.event`` is used: timers, daemons and the other handlers write finalizers or annotations, and an object that
waits for a finalizer of an uninstalled operator never goes. kopf looks for kinds once when it starts and ends when a
watched kind disappears; both are cured by starting it again inside this process, while supervision goes on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import kopf
import structlog

from ib_operator.api import Api, ApiError, read_token
from ib_operator.fleet import Fleet
from ib_operator.objects import GROUP, PLURAL, POD_LABELS, VERSION
from ib_operator.report import MANAGER
from ib_operator.settings import OperatorSettings

log = structlog.get_logger("ib_operator.watch")

_KINDS_LOOK_S = 15.0
_RESTART_S = 2.0
_SELECTOR = ",".join(f"{name}={value}" for name, value in POD_LABELS.items())


class Watch:
    """``run`` until SIGTERM, SIGINT or a cancellation."""

    def __init__(self, settings: OperatorSettings, api: Api, fleet: Fleet) -> None:
        self._settings = settings
        self._api = api
        self._fleet = fleet
        self.is_ready = False

    async def run(self) -> None:
        """Watch until a signal or a cancellation ends it."""
        stop = asyncio.Event()
        _heed_signals(stop)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        watching = asyncio.create_task(self._watch_again_and_again(stop), name="watch")
        try:
            await asyncio.wait((stopping, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            watching.cancel()
            await asyncio.gather(stopping, watching, return_exceptions=True)

    async def _watch_again_and_again(self, stop: asyncio.Event) -> None:
        while True:
            serves = await self._serves_sessions(before=None)
            again = asyncio.Event()
            look = asyncio.create_task(self._look_for_kinds(serves, again), name="kinds")
            ready = asyncio.Event()
            mark = asyncio.create_task(self._mark(ready), name="ready")
            try:
                await kopf.operator(
                    registry=self._registry(serves),
                    settings=self._kopf_settings(),
                    namespaces=list(self._settings.namespaces),
                    standalone=True,
                    stop_flag=again,
                    ready_flag=ready,
                )
                if not again.is_set():
                    return
            # kopf ends with whatever ended one of its tasks: a kind that is gone, a refused watch, a lost server.
            except Exception as error:
                log.warning("the watch ended and begins anew", problem=repr(error))
            finally:
                look.cancel()
                mark.cancel()
                await asyncio.gather(look, mark, return_exceptions=True)
                # kopf sets handlers of its own, which do nothing once it has ended.
                _heed_signals(stop)
            await asyncio.sleep(_RESTART_S)

    async def _mark(self, ready: asyncio.Event) -> None:
        await ready.wait()
        self.is_ready = True

    async def _look_for_kinds(self, serves: bool, again: asyncio.Event) -> None:
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
        fleet, settings = self._fleet, self._settings

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(
                server=settings.api_url,
                ca_path=None if settings.api_ca_file is None else str(settings.api_ca_file),
                insecure=settings.api_ca_file is None,
                scheme="Bearer",
                token=read_token(settings.api_token_file),
            )

        @kopf.on.event("v1", "pods", labels=POD_LABELS, registry=registry)
        async def pod(event: kopf.RawEvent, **_: Any) -> None:
            fleet.see_pod(event["type"], event["object"])

        if serves_sessions:

            @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
            async def session(event: kopf.RawEvent, **_: Any) -> None:
                fleet.see_session(event["type"], event["object"])

        return registry

    def _kopf_settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.posting.reporting_component = MANAGER
        settings.watching.label_selectors["v1", "pods"] = _SELECTOR
        settings.networking.request_timeout = 30
        settings.process.ultimate_exiting_timeout = None
        return settings


def _heed_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def quieten() -> None:
    """kopf tells of every event it passes on; its warnings are enough."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
