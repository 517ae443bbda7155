"""``python -m ib_operator``: watch and supervise until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

import structlog

from ib_operator.app import Operator
from ib_operator.health import Health
from ib_operator.settings import OperatorSettings
from ib_service import logs
from ib_service.http.limits import Limits
from ib_service.http.server import Listener, PortTaken, open_sockets, serve
from ib_service.settings import read

log = structlog.get_logger("ib_operator")


def main() -> None:
    """Exit codes: 0 after a signal, 2 for wrong settings or a taken port."""
    settings = read(OperatorSettings)
    logs.configure()
    asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> None:
    listener = Listener("health", settings.host, settings.port, Limits(body_bytes=64 * 1024, connections=64))
    try:
        (own,) = open_sockets([listener])
    except PortTaken as problem:
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(2) from None
    async with Operator(settings) as operator:
        app = Health(operator.metrics, problem=operator.controller.problem, is_ready=lambda: operator.watch.is_ready)
        log.info("watching", namespaces=settings.namespaces)
        watching = asyncio.ensure_future(operator.watch.run())
        try:
            await serve([(listener, app, own)], watching)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


if __name__ == "__main__":
    main()
