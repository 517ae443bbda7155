"""A listening socket for an ASGI app, on uvicorn, with the network faults that ASGI cannot express.

The protocol lets an app reach its connection (``scope["state"]["transport"]``), drops what arrives while the gate is
silent, and the listener stops listening while the gate refuses.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from ib_service.http.limits import Connections, Limits
from ib_service.http.protocol import BoundedHttp

_BACKLOG = 512
# A scenario or an order is small; the gateway in front of it holds fewer connections than this.
_LIMITS = Limits(body_bytes=1024 * 1024)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ASGIApp(Protocol):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class NetworkGate:
    """What the network in front of an app does: ``silent`` accepts and never answers, ``refusing`` does not accept."""

    def __init__(self) -> None:
        self.silent = False
        self.refusing = False
        self._watchers: list[Callable[[], None]] = []
        self._transports: set[asyncio.Transport] = set()

    def set(self, *, silent: bool = False, refusing: bool = False) -> None:
        """Change what it does; connections that were left without an answer, or are refused, are reset."""
        drop = refusing or (self.silent and not silent)
        self.silent, self.refusing = silent, refusing
        if drop:
            self.reset_connections()
        for watcher in list(self._watchers):
            watcher()

    def reset_connections(self) -> None:
        """Break every connection."""
        for transport in list(self._transports):
            reset(transport)

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` after each change; the answer ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def speaks(self) -> None:
        """Wait until it is not silent."""
        changed = asyncio.Event()
        unwatch = self.watch(changed.set)
        try:
            while self.silent:
                changed.clear()
                await changed.wait()
        finally:
            unwatch()

    def opened(self, transport: asyncio.Transport) -> None:
        self._transports.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._transports.discard(transport)

    @property
    def connections(self) -> int:
        return len(self._transports)


def reset(transport: asyncio.Transport) -> None:
    """Break the connection so that the peer sees a reset and not an orderly end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _gated_http(gate: NetworkGate) -> type[asyncio.Protocol]:
    class GatedHTTP(BoundedHttp):
        peers = Connections("simulator", _LIMITS)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.app_state: dict[str, Any] = dict(self.app_state)

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.app_state["transport"] = transport
            gate.opened(transport)
            if gate.silent:
                self.hold()

        def connection_lost(self, exc: Exception | None) -> None:
            gate.closed(self.app_state.pop("transport"))
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if gate.silent:
                self.hold()
            else:
                super().data_received(data)

    return GatedHTTP


def _gated_websocket(gate: NetworkGate) -> type[asyncio.Protocol]:
    class GatedWebSocket(WebSocketsSansIOProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            gate.closed(self.transport)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if not gate.silent:
                super().data_received(data)

    return GatedWebSocket


class Listener:
    """Serves ``app`` on ``host:port`` (0: a free port, kept while refusing) between ``start`` and ``stop``."""

    def __init__(
        self,
        app: ASGIApp,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        gate: NetworkGate | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._tls = tls
        self._gate = gate or NetworkGate()
        self._config = uvicorn.Config(
            app,
            http=_gated_http(self._gate),
            ws=_gated_websocket(self._gate),
            log_config=None,
            access_log=False,
            # IBKR's answers tell the simulated time, where they tell one.
            date_header=False,
            timeout_keep_alive=75,
        )
        self._state = ServerState()
        self._listening: socket.socket | None = None
        self._reserve: socket.socket | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._unwatch: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self) -> None:
        """Bind and serve. OSError when the address cannot be had."""
        if sys.platform == "linux":
            # Bound and never listening: the port stays ours while connections to it are refused.
            # Other systems do not let a second socket listen there.
            self._reserve = _bound(self.host, self.port)
            self.port = self._reserve.getsockname()[1]
        try:
            self._config.load()
            self._lifespan = self._config.lifespan_class(self._config)
            await self._lifespan.startup()
            if self._lifespan.should_exit:
                raise RuntimeError("the app failed to start; its error is in the log")
            self._open()
        except BaseException:
            self._release_port()
            raise
        self._unwatch = self._gate.watch(self._follow_gate)

    async def stop(self) -> None:
        """Break every connection, cancel what runs, then end the app's lifespan."""
        if self._unwatch is not None:
            self._unwatch()
        self._close()
        await _cancelled(self._arriving)
        # An aborted connection is gone some rounds of the loop later.
        while self._state.connections:
            for connection in list(self._state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        await _cancelled(self._state.tasks)
        await self._lifespan.shutdown()
        self._release_port()

    def _release_port(self) -> None:
        if self._reserve is not None:
            self._reserve.close()

    async def __aenter__(self) -> Listener:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # asyncio's own Server is not used: closing it loses what was accepted and not yet connected.

    def _open(self) -> None:
        self._listening = _bound(self.host, self.port)
        self._listening.setblocking(False)
        self._listening.listen(_BACKLOG)
        self.port = self._listening.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    def _close(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        task = asyncio.create_task(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        # One that is cancelled before it began did not close it.
        task.add_done_callback(lambda task: connection.close() if task.cancelled() else None)

    async def _connect(self, connection: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self._config.http_protocol_class(  # type: ignore[call-arg]
                config=self._config, server_state=self._state, app_state=self._lifespan.state
            )

        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection, ssl=self._tls)
        except OSError:
            connection.close()

    def _follow_gate(self) -> None:
        if self._gate.refusing:
            self._close()
        elif self._listening is None:
            self._open()


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    running = list(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
