"""Serving several ASGI apps on sockets of their own in one event loop, until a signal or a failure."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

_GRACE_S = 1


@dataclass(frozen=True, slots=True)
class Listener:
    """``name`` is what people call the port."""

    name: str
    host: str
    port: int


class PortTaken(Exception):
    """A listener could not be opened; says which and why."""


def open_sockets(listeners: Sequence[Listener]) -> list[socket.socket]:
    """Bound sockets in the order of ``listeners``. PortTaken when one of them cannot be had."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(contextlib.closing(_bind(listener))) for listener in listeners]
        opened.pop_all()
        return sockets


async def serve(apps: Sequence[tuple[ASGIApp, socket.socket]], failed: asyncio.Future[None]) -> None:
    """Serve until SIGTERM, SIGINT or the end of ``failed``, whose error is raised then."""
    loop = asyncio.get_running_loop()
    servers = [_Server(_config(app)) for app, _ in apps]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(server.serve(sockets=[own])) for server, (_, own) in zip(servers, apps, strict=True)]
    stopping = asyncio.create_task(stop.wait())
    ends: list[asyncio.Future[Any]] = [stopping, failed, *tasks]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    if failed.done():
        failed.result()


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling, which knows of one server per process only."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        # Longer than clients keep an idle connection: who closes last loses no request that is just being sent.
        timeout_keep_alive=75,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _bind(listener: Listener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((listener.host, listener.port))
        made.listen(256)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise PortTaken(
            f"The {listener.name} port {listener.host}:{listener.port} cannot be opened: {error.strerror}."
        ) from error
    return made
