"""``python -m ib_simulator``: the broker's port and the control port as one process."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys

import structlog
import uvloop

from ib_service import logs
from ib_service.settings import read
from ib_simulator.app import Simulator
from ib_simulator.control import scenario
from ib_simulator.network.listener import Listener
from ib_simulator.settings import SimulatorSettings

log = structlog.get_logger("ib_simulator")


class Refused(Exception):
    """The process cannot run as it was told to; the message is the sentence for the person."""


async def serve(settings: SimulatorSettings) -> None:
    """Run until SIGTERM or SIGINT. Refused when a port, a certificate or the scenario cannot be used."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tls = _tls(settings)
    simulator = Simulator(
        settings.seed,
        None if settings.signed_in == "none" else settings.signed_in,
        settings.role,
        _scenario(settings),
        limits=settings.limits,
        second_step=settings.second_step,
        positions_page=settings.positions_page,
        opens_brokerage=settings.brokerage_login == "gateway",
    )
    broker = Listener(simulator.app, settings.host, settings.port, tls=tls, gate=simulator.gate)
    control = Listener(simulator.control, settings.host, settings.control_port)
    started: list[Listener] = []
    try:
        for listener, setting in ((broker, "PORT"), (control, "CONTROL_PORT")):
            try:
                await listener.start()
            except OSError as error:
                raise Refused(
                    f"Cannot listen on {listener.host}:{listener.port} ({error.strerror}); "
                    f"set IB_SIMULATOR_{setting} to a free port."
                ) from None
            started.append(listener)
        log.info("simulator is up", url=broker.url, control_url=control.url, role=settings.role)
        await stop.wait()
    finally:
        for listener in started:
            await listener.stop()


def _tls(settings: SimulatorSettings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:
        raise Refused(f"IB_SIMULATOR_TLS_CERT_FILE and IB_SIMULATOR_TLS_KEY_FILE cannot be used: {error}.") from None
    return context


def _scenario(settings: SimulatorSettings) -> scenario.Scenario | None:
    if settings.scenario is None:
        return None
    try:
        return scenario.load(settings.scenario)
    except scenario.ScenarioError as error:
        raise Refused(f"IB_SIMULATOR_SCENARIO: {error}.") from None


def main() -> int:
    """The exit code: 0, or 2 with a sentence on stderr."""
    settings = read(SimulatorSettings)
    logs.configure()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    try:
        uvloop.run(serve(settings))
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
