"""Running the server as a process: over HTTP, or over stdin and stdout."""

from __future__ import annotations

import gc
import signal
import socket
import sys

import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ib_mcp.guard import router
from ib_mcp.http.app import create_app
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings, McpSettings
from ib_service import logs

log = structlog.get_logger(__name__)


def serve_http(settings: HttpSettings) -> None:
    """Serve /mcp until SIGTERM or SIGINT. Exit code 2 when the address cannot be had."""
    logs.configure()
    listener = _listen(settings.host, settings.port)
    # uvicorn stops on these and raises them again afterwards; stopping on request is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvloop.run(_serve_http(settings, listener))


async def _serve_http(settings: HttpSettings, listener: socket.socket) -> None:
    async with router.connect(settings) as client:
        app = create_app(settings, create_server(settings, client))
        _settle()
        log.info("listening", host=settings.host, port=listener.getsockname()[1])
        await web_server(app).serve(sockets=[listener])


def web_server(app: Starlette) -> uvicorn.Server:
    """What ``app`` is served with."""
    config = uvicorn.Config(
        app,
        http=_Http,
        ws="none",
        log_config=None,
        access_log=False,
        # Longer than a proxy keeps an idle connection: who closes last loses no request that is just being sent.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


class _Http(HttpToolsProtocol):
    """httptools keeps white space after a header's value, which is no part of it; h11 would take twice the CPU."""

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value.strip(b" \t"))


def serve_stdio(settings: McpSettings) -> None:
    """Serve one agent over stdin and stdout until stdin ends."""
    logs.configure()
    uvloop.run(_serve_stdio(settings))


async def _serve_stdio(settings: McpSettings) -> None:
    async with router.connect(settings) as client:
        server = create_server(settings, client)
        _settle()
        await server.run_stdio_async(show_banner=False)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another IB_MCP_PORT.\n")
        raise SystemExit(2) from None


def _settle() -> None:
    """Keep what exists from now on out of garbage collection: it would cost tens of milliseconds again and again."""
    gc.collect()
    gc.freeze()
