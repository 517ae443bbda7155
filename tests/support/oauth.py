"""The whole MCP server on a socket with OAuth on, and an owner who lets agents in."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_mcp.guard import router
from ib_mcp.http.app import create_app
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings
from support.serve import serve

PASSPHRASE = "correct horse battery"


class _Later:
    """An app that is made when its address is known."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})


async def _accounts(request: Request) -> JSONResponse:
    return JSONResponse([{"accountId": "U1000001", "currency": "USD"}, {"accountId": "U1000002"}])


async def _status(request: Request) -> JSONResponse:
    now = time.time()
    return JSONResponse({"schema": 1, "state": "authenticated", "observed_at": now, "state_since": now, "mode": "live"})


@asynccontextmanager
async def serving(
    store: Path, front: Callable[[ASGIApp], ASGIApp] = lambda app: app, guard: ASGIApp | None = None, **given: Any
) -> AsyncIterator[str]:
    """The origin of a server that keeps its grants in ``store``, seen through ``front``; its guard knows two accounts
    unless another one is given.
    """
    guard = guard or Starlette(routes=[Route("/v1/api/portfolio/accounts", _accounts), Route("/status", _status)])
    later = _Later()
    later.app = guard
    async with serve(later) as origin:
        usual: dict[str, Any] = {"guard_url": "http://guard.test", "guard_token": "g", "passphrase": PASSPHRASE}
        settings = HttpSettings(**(usual | {"public_url": origin, "oauth_store": store} | given))
        async with router.connect(settings, httpx.ASGITransport(guard)) as client:
            app = create_app(settings, create_server(settings, client), client)
            async with app.router.lifespan_context(app):
                later.app = front(app)
                yield origin


async def approve(url: str, **given: Any) -> str:
    """Open ``url`` as the owner's browser and allow what is asked; where the browser is sent then."""
    async with httpx.AsyncClient(follow_redirects=True) as web:
        page = await web.get(url)
        assert page.status_code == 200, page.text
        fields = dict(re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)"', page.text))
        headers = {"origin": f"{page.url.scheme}://{page.url.netloc.decode()}"}
        consent = str(page.url.copy_with(query=None))
        signed_in = fields | {"answer": "sign-in", "passphrase": PASSPHRASE}
        page = await web.post(consent, data=signed_in, headers=headers)
        assert page.status_code == 200, page.text
        form = fields | {"answer": "allow", "listed": "U1000001 U1000002", "account": ["U1000001", "U1000002"]} | given
        done = await web.post(consent, data=form, headers=headers, follow_redirects=False)
        assert done.status_code == 303, done.text
        return done.headers["location"]
