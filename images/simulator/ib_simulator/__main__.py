"""``python -m ib_simulator``: the broker's port and the control port as one process."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys

import structlog
import uvloop

from ib_simulator.app import Simulator
from ib_simulator.listener import Listener
from ib_simulator.settings import SimulatorSettings
from ibkr import logs
from ibkr.settings import read

log = structlog.get_logger("ib_simulator")


async def serve(settings: SimulatorSettings) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    simulator = Simulator(
        settings.seed, None if settings.signed_in == "none" else settings.signed_in, role=settings.role
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tls: ssl.SSLContext | None = None
    if settings.tls_cert_file is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    broker = Listener(simulator.app, settings.host, settings.port, tls=tls, gate=simulator.gate)
    control = Listener(simulator.control, settings.host, settings.control_port)
    started: list[Listener] = []
    try:
        for listener, name in ((broker, "IB_SIMULATOR_PORT"), (control, "IB_SIMULATOR_CONTROL_PORT")):
            try:
                await listener.start()
            except OSError as error:
                print(  # noqa: T201
                    f"Cannot listen on {listener.host}:{listener.port} ({error.strerror}); choose another {name}.",
                    file=sys.stderr,
                )
                return 2
            started.append(listener)
        log.info("simulator is up", url=broker.url, control_url=control.url, role=settings.role)
        await stop.wait()
    finally:
        for listener in started:
            await listener.stop()
    return 0


def main() -> int:
    settings = read(SimulatorSettings)
    logs.configure()
    return uvloop.run(serve(settings))


if __name__ == "__main__":
    raise SystemExit(main())
