"""Running the server as a process: over HTTP, or over stdin and stdout."""

from __future__ import annotations

import gc
import socket
import sys

import structlog
import uvloop
from fastmcp import FastMCP

from ib_mcp.guard import router
from ib_mcp.guard.client import Guard
from ib_mcp.http.app import create_app
from ib_mcp.oauth.store import StoreFailed
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings, McpSettings
from ib_service import logs
from ib_service.http.server import Listener, PortTaken, open_sockets, serve

log = structlog.get_logger(__name__)

# Calls of tools that are under way at the end have so long to be answered.
_GRACE_S = 2


def serve_http(settings: HttpSettings) -> None:
    """Serve /mcp until SIGTERM or SIGINT. Exit code 2 when the address cannot be had."""
    logs.configure()
    listener = Listener("MCP", settings.host, settings.port)
    try:
        (own,) = open_sockets([listener])
    except PortTaken as problem:
        sys.stderr.write(f"{problem} Choose another IB_MCP_PORT.\n")
        raise SystemExit(2) from None
    uvloop.run(_serve_http(settings, listener, own))


async def _serve_http(settings: HttpSettings, listener: Listener, own: socket.socket) -> None:
    async with router.connect(settings) as client:
        try:
            app = create_app(settings, _server(settings, client), client)
        except StoreFailed as problem:
            sys.stderr.write(f"IB_MCP_OAUTH_STORE: {problem}\n")
            raise SystemExit(2) from None
        _settle()
        log.info("listening", host=settings.host, port=own.getsockname()[1])
        await serve([(listener, app, own)], lifespan="on", grace_s=_GRACE_S)


def serve_stdio(settings: McpSettings) -> None:
    """Serve one agent over stdin and stdout until stdin ends."""
    logs.configure()
    uvloop.run(_serve_stdio(settings))


async def _serve_stdio(settings: McpSettings) -> None:
    async with router.connect(settings) as client:
        server = _server(settings, client)
        _settle()
        await server.run_stdio_async(show_banner=False)


def _server(settings: McpSettings, client: Guard) -> FastMCP:
    """Exit code 2 when the settings' OpenAPI document cannot be used."""
    try:
        return create_server(settings, client)
    except DocumentUnreadable as problem:
        sys.stderr.write(f"IB_MCP_SPEC: {problem.message} {problem.action}\n")
        raise SystemExit(2) from None


def _settle() -> None:
    """Keep what exists from now on out of garbage collection: it would cost tens of milliseconds again and again."""
    gc.collect()
    gc.freeze()
