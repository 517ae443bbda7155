"""``python -m ib_operator``: watch and supervise until SIGTERM."""

from __future__ import annotations

import asyncio
import sys

import structlog
from aiohttp import web

from ib_operator.app import Operator
from ib_operator.settings import OperatorSettings
from ib_operator.watch import quieten
from ib_operator.web import create_web
from ibkr import logs
from ibkr.settings import read

log = structlog.get_logger("ib_operator")


def main() -> None:
    """Exit codes: 0 after a signal, 2 for wrong settings or a taken port."""
    settings = read(OperatorSettings)
    logs.configure()
    quieten()
    asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> None:
    async with Operator(settings) as operator:
        app = create_web(operator.metrics, problem=operator.fleet.problem, is_ready=lambda: operator.watch.is_ready)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, settings.host, settings.port).start()
            except OSError as error:
                sys.stderr.write(f"The port {settings.host}:{settings.port} cannot be opened: {error.strerror}.\n")
                raise SystemExit(2) from None
            log.info("watching", namespaces=settings.namespaces)
            await operator.watch.run()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    main()
