"""The ASGI app: /mcp on both wires, health and metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import FastMCP
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_mcp.auth import HashedBearer
from ib_mcp.settings import HttpSettings

_PATH = "/mcp"
_VERSION = b"mcp-protocol-version"


def create_app(settings: HttpSettings, server: FastMCP) -> Starlette:
    """``server`` over stateless streamable HTTP, guarded as ``settings`` say."""
    if settings.token is not None and not settings.no_auth:
        server.auth = HashedBearer(settings.token.get_secret_value())
    shared: dict[str, Any] = {"path": _PATH, "stateless_http": True, "host_origin_protection": True}
    shared |= {"allowed_hosts": list(settings.allowed_hosts), "allowed_origins": list(settings.allowed_origins)}
    handshake = server.http_app(**shared, json_response=True)
    (endpoint,) = (route.endpoint for route in handshake.routes if isinstance(route, Route))
    # Behind the checks of Host, Origin and token, which are the same for both.
    app = server.http_app(**shared, middleware=[Middleware(ByWire, handshake=endpoint)])
    app.router.routes.extend((Route("/healthz", healthy), Route("/readyz", healthy), Route("/metrics", show_metrics)))
    modern = app.router.lifespan_context

    @asynccontextmanager
    async def both(_: Starlette) -> AsyncIterator[None]:
        async with handshake.router.lifespan_context(handshake), modern(app):
            yield

    app.router.lifespan_context = both
    return app


class ByWire:
    """Sends requests of the handshake wire to an endpoint of their own.

    There an answer is one JSON body: as an event stream, which only progress would need, it costs half as much again.
    """

    def __init__(self, app: ASGIApp, handshake: ASGIApp) -> None:
        self._app = app
        self._handshake = handshake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._handshake if scope["type"] == "http" and _is_handshake(scope) else self._app
        await app(scope, receive, send)


def _is_handshake(scope: Scope) -> bool:
    """As the MCP library tells the wires apart: without a version, or with an old one."""
    if scope["path"] != _PATH or scope["method"] != "POST":
        return False
    version = next((value.decode("latin-1") for name, value in scope["headers"] if name == _VERSION), None)
    return version is None or version in HANDSHAKE_PROTOCOL_VERSIONS


async def healthy(request: Request) -> Response:
    """Ready as soon as it listens: without a login the tools still answer, with login_required."""
    return JSONResponse({"ok": True})


async def show_metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
