"""The ASGI app: /mcp on both wires, health and metrics."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fastmcp import FastMCP
from mcp.server.auth.middleware.bearer_auth import RequireAuthMiddleware
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.agent_log import AGENTS
from ib_mcp.guard.client import Guard
from ib_mcp.guard.desk import Desk
from ib_mcp.http.approvals import ApprovalPage
from ib_mcp.http.elicitation import Elicitation
from ib_mcp.http.error_bodies import ErrorBodies
from ib_mcp.http.fast_path import FastPath, version_of
from ib_mcp.http.host_origin import HostOrigin
from ib_mcp.http.owners_accounts import accounts_of
from ib_mcp.http.status_page import LocalPage, OwnersPage, StatusPage
from ib_mcp.http.step_up import StepUp
from ib_mcp.http.under_prefix import UnderPrefix
from ib_mcp.http.ways_in import WaysIn
from ib_mcp.oauth.place import MCP
from ib_mcp.oauth.routes import PAGES, OAuthPaths, for_people, for_programs, resource_documents
from ib_mcp.oauth.sign_in import APPROVALS
from ib_mcp.server.agents import Agents
from ib_mcp.server.call_middleware import CallMiddleware
from ib_mcp.settings import HttpSettings
from ib_service.http.addresses import is_loopback
from ib_service.http.caller_gone import CallerGone, unless_gone

_PATH = MCP
# Of the MCP library.
_LARGEST_BODY = 4 * 1024 * 1024
# The shortest time without a byte after which common proxies give up.
_SILENT_S = 30


def create_app(settings: HttpSettings, server: FastMCP, guard: Guard | None = None) -> Starlette:
    """``server`` over stateless streamable HTTP, guarded as ``settings`` say; with ``guard`` the owner's page too."""
    ways = WaysIn.of(settings)
    place, oauth = ways.place, ways.oauth
    server.auth = ways.bearer
    # HostOrigin makes this check, in front of all ways.
    shared: dict[str, Any] = {"path": _PATH, "stateless_http": True, "host_origin_protection": False}
    own = [] if place is None else [place.origin]
    origins = [*settings.allowed_origins, *own]
    hosts = [*settings.allowed_hosts, *filter(None, (urlsplit(origin).hostname for origin in own))]
    plain = server.http_app(**shared, json_response=True)
    (endpoint,) = (route.endpoint for route in plain.routes if isinstance(route, Route) and route.path == _PATH)
    # Behind the checks of Host, Origin and token, which are the same for all ways.
    scopes = None if server.auth is None else server.auth.required_scopes
    calls = CallMiddleware.of(server)
    fast = None if calls is None else FastPath(server, calls, scopes)
    by_call = Middleware(ByCall, fast=fast, plain=endpoint, deadline_s=settings.deadline_s)
    # Where agents learn by whom to be let in.
    metadata_url = place.resource_metadata if place and place.issuers else None
    step_up = Middleware(StepUp, server=server, path=_PATH, scopes=settings.offered_scopes, metadata_url=metadata_url)
    inner = [step_up, by_call]
    if settings.trading and guard is not None:
        asking = Middleware(Elicitation, path=_PATH, desk=Desk(guard), agents=Agents(settings.local_grant))
        inner.insert(1, asking)
    app = server.http_app(**shared, middleware=inner)
    app.router.redirect_slashes = False
    app.router.routes.extend((Route("/healthz", healthy), Route("/readyz", healthy), Route("/metrics", show_metrics)))
    if server.auth is not None:
        challenge = None if metadata_url is None else AnyHttpUrl(metadata_url)
        asked = RequireAuthMiddleware(_Unread(), server.auth.required_scopes, challenge)
        app.router.routes.append(Route(_PATH, asked, methods=["GET", "HEAD"]))
    app.add_middleware(HostOrigin, allowed_hosts=hosts, allowed_origins=origins)
    app.add_middleware(ErrorBodies, pages=PAGES)
    if oauth is not None and ways.sign_in is not None:
        app.router.routes.extend(for_people(oauth, ways.sign_in, partial(accounts_of, guard)))
        if guard is not None:
            has_approvals = settings.trading and settings.approver_token is not None
            page = StatusPage(guard, AGENTS, ways)
            owners = OwnersPage(page, oauth, ways.sign_in, ways, has_approvals)
            app.router.routes.append(Route("/", owners.handle, methods=["GET", "POST"]))
            if has_approvals:
                approvals = ApprovalPage(guard, oauth.place, ways.sign_in)
                app.router.routes.append(Route(APPROVALS, approvals.handle, methods=["GET", "POST"]))
        app.add_middleware(OAuthPaths, routes=for_programs(oauth))
    elif place is not None and place.issuers:
        app.add_middleware(OAuthPaths, routes=resource_documents(place))
    if oauth is None and guard is not None and is_loopback(settings.host):
        app.router.routes.append(Route("/", LocalPage(StatusPage(guard, AGENTS, ways)).handle))
    if place is not None and place.prefix:
        app.add_middleware(UnderPrefix, prefix=place.prefix)
    streaming = app.router.lifespan_context

    @asynccontextmanager
    async def both(_: Starlette) -> AsyncIterator[None]:
        async with plain.router.lifespan_context(plain), streaming(app):
            yield
        if oauth is not None:
            await oauth.store.close()

    app.router.lifespan_context = both
    return app


class _Unread:
    """Of a server that keeps no stream open there is nothing to get."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)


class ByCall:
    """Calls of our tools go the short way, what else comes on the handshake wire to ``plain``, which makes no event
    stream of any answer (one costs half as much again there), and the rest to the library.

    No tool sends messages before its answer. An answer that may take so long that a proxy loses patience becomes an
    event stream where the wire has a sign of life for it.
    """

    def __init__(self, app: ASGIApp, fast: FastPath | None, plain: ASGIApp, deadline_s: float) -> None:
        self._app = app
        self._fast = fast
        self._plain = plain
        self._is_quick = deadline_s <= _SILENT_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        messages = await _read_body(receive)
        if messages is None:
            return
        is_whole = not messages[-1].get("more_body", False)
        content = b"".join(message.get("body", b"") for message in messages)
        if self._fast is not None and is_whole and (call := self._fast.read(scope, content)) is not None:
            if not call.is_modern:
                await self._fast.answer(call, scope, send)
                return
            if self._is_quick:
                with contextlib.suppress(CallerGone):
                    # On the modern wire a client ends its call by leaving.
                    await unless_gone(receive, self._fast.answer(call, scope, send))
                return

        async def read() -> Message:
            return messages.popleft() if messages else await receive()

        version = version_of(dict(reversed(scope["headers"])))
        await (self._plain if version in HANDSHAKE_PROTOCOL_VERSIONS else self._app)(scope, read, send)


async def _read_body(receive: Receive) -> deque[Message] | None:
    """The messages of the request's body, or None when the client left inside it.

    The MCP library would report that as a fault of its own. What is larger than it takes is left to it to refuse.
    """
    messages: deque[Message] = deque()
    size, more = 0, True
    while more and size <= _LARGEST_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        messages.append(message)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return messages


async def healthy(request: Request) -> Response:
    """Ready as soon as it listens: without a login the tools still answer, with login_required."""
    return JSONResponse({"ok": True})


async def show_metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
