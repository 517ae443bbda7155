"""``python -m ib_operator``: watch and supervise until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import structlog
from aiohttp import web

from ib_operator.app import Operator
from ib_operator.health import create_web
from ib_operator.settings import OperatorSettings
from ib_operator.watch import quieten
from ib_service import logs
from ib_service.settings import read

log = structlog.get_logger("ib_operator")


def main() -> None:
    """Exit codes: 0 after a signal, 2 for wrong settings or a taken port."""
    settings = read(OperatorSettings)
    logs.configure()
    quieten()
    asyncio.run(_run(settings))


async def _run(settings: OperatorSettings) -> None:
    async with Operator(settings) as operator:
        app = create_web(
            operator.metrics, problem=operator.controller.problem, is_ready=lambda: operator.watch.is_ready
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, settings.host, settings.port).start()
            except OSError as error:
                sys.stderr.write(f"The port {settings.host}:{settings.port} cannot be opened: {error.strerror}.\n")
                raise SystemExit(2) from None
            log.info("watching", namespaces=settings.namespaces)
            await _until_stopped(operator.watch.run())
        finally:
            await runner.cleanup()


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``, which ends with an error only, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(stop.wait()), asyncio.ensure_future(work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    main()
