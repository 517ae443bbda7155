"""The whole MCP server on a socket with OAuth on, and an owner who lets agents in."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
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
    store: Path,
    front: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    guard: ASGIApp | None = None,
    prefix: str = "",
    **given: Any,
) -> AsyncIterator[str]:
    """The origin of a server that keeps its grants in ``store``, seen through ``front``; its guard knows two accounts
    unless another one is given. ``prefix``: the path there under which it says that it lies.
    """
    guard = guard or Starlette(routes=[Route("/v1/api/portfolio/accounts", _accounts), Route("/status", _status)])
    later = _Later()
    later.app = guard
    async with serve(later) as origin:
        usual: dict[str, Any] = {"guard_url": "http://guard.test", "guard_token": "g", "passphrase": PASSPHRASE}
        settings = HttpSettings(**(usual | {"public_url": origin + prefix, "oauth_store": store} | given))
        async with router.connect(settings, httpx.ASGITransport(guard)) as client:
            app = create_app(settings, create_server(settings, client), client)
            async with app.router.lifespan_context(app):
                later.app = front(app)
                yield origin


def _hidden(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type=hidden name="?(\w+)"? value="([^"]*)"', page.text))


async def approve(url: str, verify: ssl.SSLContext | bool = True, **given: Any) -> str:
    """Open ``url`` as the owner's browser, sign in and allow what is asked, with every account unless ``given`` says
    otherwise; where the browser is sent then.
    """
    async with httpx.AsyncClient(follow_redirects=True, verify=verify) as web:
        page = await web.get(url)
        assert page.status_code == 200, page.text
        headers = {"origin": f"{page.url.scheme}://{page.url.netloc.decode()}"}
        consent = str(page.url.copy_with(query=None))
        page = await web.post(
            consent, data=_hidden(page) | {"answer": "sign-in", "passphrase": PASSPHRASE}, headers=headers
        )
        assert page.status_code == 200, page.text
        fields = _hidden(page)
        form = fields | {"answer": "allow", "account": fields.get("listed", "").split()} | given
        done = await web.post(consent, data=form, headers=headers, follow_redirects=False)
        assert done.status_code == 303, done.text
        return done.headers["location"]


class Person:
    """The official client's storage, and the owner who approves; ``asked``: how often that was."""

    def __init__(self, verify: ssl.SSLContext | bool = True, **given: Any) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None
        self.asked = 0
        self.given = given
        self._verify = verify
        self._location = ""

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info

    async def open(self, url: str) -> None:
        self.asked += 1
        self._location = await approve(url, self._verify, **self.given)

    async def called_back(self) -> AuthorizationCodeResult:
        told = {name: values[0] for name, values in parse_qs(urlsplit(self._location).query).items()}
        return AuthorizationCodeResult(**told)

    def web(self, origin: str) -> httpx2.AsyncClient:
        """A client that gets in at ``origin`` by itself."""
        told = OAuthClientMetadata.model_validate({"client_name": "tests", "redirect_uris": ["http://127.0.0.1:1/cb"]})
        provider = OAuthClientProvider(f"{origin}/mcp", told, self, self.open, self.called_back)
        return httpx2.AsyncClient(auth=provider, verify=self._verify, timeout=30)
