"""The login port: the landing page that shows the session's state, and the gateway's sign-in pages."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ib_keepalive.keeper import Keeper
from ib_keepalive.settings import KeepaliveSettings

__all__ = ["create_login"]


def create_login(settings: KeepaliveSettings, client: httpx.AsyncClient, keeper: Keeper) -> ASGIApp:
    """The ASGI app."""

    async def login_status(_: Request) -> Response:
        return JSONResponse(keeper.status().to_json())

    return Starlette(routes=[Route("/login-status", login_status)])
