"""The ASGI app: /mcp on both wires, health and metrics."""

from __future__ import annotations

from fastmcp import FastMCP
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ib_mcp.auth import HashedBearer
from ib_mcp.settings import HttpSettings


def create_app(settings: HttpSettings, server: FastMCP) -> Starlette:
    """``server`` over stateless streamable HTTP, guarded as ``settings`` say."""
    if settings.token is not None and not settings.no_auth:
        server.auth = HashedBearer(settings.token.get_secret_value())
    app = server.http_app(
        path="/mcp",
        stateless_http=True,
        host_origin_protection=True,
        allowed_hosts=list(settings.allowed_hosts),
        allowed_origins=list(settings.allowed_origins),
    )
    app.router.routes.extend((Route("/healthz", healthy), Route("/readyz", healthy), Route("/metrics", show_metrics)))
    return app


async def healthy(request: Request) -> Response:
    """Ready as soon as it listens: without a login the tools still answer, with login_required."""
    return JSONResponse({"ok": True})


async def show_metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
