"""Serving ASGI apps on sockets of their own in one event loop, within bounds, until a signal or a failure."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn

from ib_service.http.limits import Connections, Limits
from ib_service.http.protocol import bounded_http

_BACKLOG = 512
# Connections to others, files and what the runtime opens.
_OWN_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class Listener:
    """``name`` is what people call the port."""

    name: str
    host: str
    port: int
    limits: Limits = field(default_factory=Limits)


class PortTaken(Exception):
    """A listener could not be opened; says which and why."""


def open_sockets(listeners: Sequence[Listener]) -> list[socket.socket]:
    """Bound sockets in the order of ``listeners``. PortTaken when one of them cannot be had."""
    _raise_descriptor_limit(sum(one.limits.connections + one.limits.reserve for one in listeners))
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(contextlib.closing(_bind(listener))) for listener in listeners]
        opened.pop_all()
        return sockets


async def serve(
    apps: Sequence[tuple[Listener, Any, socket.socket]],
    failed: asyncio.Future[None] | None = None,
    *,
    lifespan: Literal["on", "off"] = "off",
    grace_s: int = 1,
) -> None:
    """Serve until SIGTERM, SIGINT or the end of ``failed``, whose error is raised then.

    Requests under way have ``grace_s`` to end.
    """
    loop = asyncio.get_running_loop()
    servers = [_Server(config(listener, app, lifespan=lifespan, grace_s=grace_s)) for listener, app, _ in apps]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [
        asyncio.create_task(server.serve(sockets=[own])) for server, (_, _, own) in zip(servers, apps, strict=True)
    ]
    stopping = asyncio.create_task(stop.wait())
    ends: list[asyncio.Future[Any]] = [stopping, *tasks, *([failed] if failed is not None else [])]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    if failed is not None and failed.done():
        failed.result()


def config(listener: Listener, app: Any, *, lifespan: Literal["on", "off"] = "off", grace_s: int = 1) -> uvicorn.Config:
    """What ``app`` is served with at ``listener``."""
    logging.getLogger("uvicorn.error").addFilter(_is_no_ending)
    return uvicorn.Config(
        app,
        http=bounded_http(Connections(listener.name, listener.limits)),
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=listener.limits.idle_s,
        server_header=False,
        proxy_headers=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=grace_s,
    )


def _is_no_ending(record: logging.LogRecord) -> bool:
    """Whether a log line is about more than a request that was cancelled, at the end, as it had to be."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handling, which knows of one server per process only."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _bind(listener: Listener) -> socket.socket:
    host = "0.0.0.0" if listener.host == "::" and not _has_ipv6() else listener.host
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == "::":
        # Every address, of both families.
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        made.bind((host, listener.port))
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise PortTaken(
            f"The {listener.name} port {listener.host}:{listener.port} cannot be opened: {error.strerror}."
        ) from error
    return made


def _has_ipv6() -> bool:
    """Whether the kernel knows IPv6, which some hosts switch off."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as made:
            made.bind(("::", 0))
    except OSError:
        return False
    return True


def _raise_descriptor_limit(connections: int) -> None:
    """Let the process open as many files as its connections may need, as far as the system permits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
