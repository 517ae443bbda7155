"""``python -m ib_keepalive``: the three ports and the keeper, until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import sys

import structlog
import uvloop

from ib_keepalive.app import Keepalive
from ib_keepalive.settings import KeepaliveSettings
from ib_service import logs
from ib_service.http.limits import Limits
from ib_service.http.server import Listener, PortTaken, open_sockets, serve
from ib_service.settings import read

log = structlog.get_logger("ib_keepalive")

_DATA = Limits(body_bytes=1024 * 1024)
# Nobody needs a token here: a browser has a dozen connections, and probes, operator and Prometheus one each.
_OPEN = Limits(body_bytes=256 * 1024, connections=64)


def main() -> None:
    """Exit codes: 0 after a signal, 1 when the keeper failed, 2 for wrong settings or a taken port."""
    settings = read(KeepaliveSettings)
    logs.configure()
    uvloop.run(_run(settings))


async def _run(settings: KeepaliveSettings) -> None:
    listeners = (
        Listener("data", settings.data_host, settings.data_port, _DATA),
        Listener("control", settings.control_host, settings.control_port, _OPEN),
        Listener("login", "127.0.0.1", settings.login_port, _OPEN),
    )
    try:
        sockets = open_sockets(listeners)
    except PortTaken as problem:
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(2) from None
    keepalive = Keepalive(settings)
    async with keepalive:
        ports = {listener.name: own.getsockname()[1] for listener, own in zip(listeners, sockets, strict=True)}
        # What exists by now stays: looking through it for garbage would cost tens of milliseconds again and again.
        gc.collect()
        gc.freeze()
        log.info("listening", **ports)
        apps = (keepalive.data, keepalive.control, keepalive.login)
        try:
            await serve(list(zip(listeners, apps, sockets, strict=True)), asyncio.ensure_future(keepalive.wait()))
        except Exception:
            log.exception("the keepalive failed")
            raise SystemExit(1) from None


if __name__ == "__main__":
    main()
