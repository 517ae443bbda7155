"""The paths of the authorization server, at every form that agents look for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from fastmcp.server.auth.redirect_validation import build_client_redirect
from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.routes import cors_middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.oauth import pages
from ib_mcp.oauth.client_documents import ClientUnknown
from ib_mcp.oauth.consent import Accounts, ConsentPage
from ib_mcp.oauth.place import MCP, Place
from ib_mcp.oauth.provider import OwnerOAuth
from ib_mcp.oauth.sign_in import APPROVALS, SignIn
from ib_mcp.oauth.sign_in import PATH as SIGN_IN
from ib_mcp.oauth.store import StoreFailed

_LARGEST_BODY = 64 * 1024
_REGISTRATIONS = 20
_WITHIN_S = 60.0
_FRESH = {"Cache-Control": "public, max-age=300"}


PAGES = frozenset({"/", "/authorize", "/consent", SIGN_IN, APPROVALS})


class OAuthPaths:
    """Before everything else: the paths of OAuth for programs, which any origin may call; the rest goes to ``app``.

    ``/mcp/`` means ``/mcp``: a redirect would cost a round trip, or lead to http behind a proxy.
    """

    def __init__(self, app: ASGIApp, routes: list[Route], clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._programs = Router(routes, redirect_slashes=False)
        self._paths = {route.path for route in self._programs.routes if isinstance(route, Route)}
        self._clock = clock
        self._registered: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == MCP + "/":
            scope = {**scope, "path": MCP, "raw_path": MCP.encode()}
        is_ours = scope["path"] in self._paths
        if is_ours or scope["path"] in PAGES:
            messages = await _bounded(receive)
            if messages is None:
                await _error("invalid_request", "The body is too large.", 413)(scope, receive, send)
                return
            if (refused := self._refusal(scope, messages)) is not None:
                await refused(scope, receive, send)
                return
            receive = _again(messages, receive)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await (self._programs if is_ours else self._app)(scope, receive, noted)
        except StoreFailed:
            if started:
                raise
            # Not 401: agents would throw their tokens away.
            await _error("temporarily_unavailable", "The store of tokens cannot be used now.", 503)(
                scope, receive, send
            )

    def _refusal(self, scope: Scope, messages: list[Message]) -> Response | None:
        if scope["path"] != "/register" or scope["method"] != "POST":
            return None
        now = self._clock()
        self._registered = [at for at in self._registered if now - at < _WITHIN_S]
        if len(self._registered) >= _REGISTRATIONS:
            return _error("temporarily_unavailable", "Too many registrations; wait a minute.", 429)
        self._registered.append(now)
        return None


def for_people(provider: OwnerOAuth, sign_in: SignIn, accounts: Accounts) -> list[Route]:
    """The pages, which stand behind the checks of Host and Origin."""
    consent = ConsentPage(provider, sign_in, accounts)
    return [
        Route(SIGN_IN, sign_in.called_back, methods=["GET"]),
        Route("/authorize", _authorize(provider), methods=["GET", "POST"]),
        Route("/consent", consent.handle, methods=["GET", "POST"]),
    ]


def for_programs(provider: OwnerOAuth) -> list[Route]:
    """What programs ask for: metadata, registration, tokens."""
    place, library = provider.place, provider.library_routes()
    own = _metadata(place) | {"client_id_metadata_document_supported": provider.documents is not None}
    found = [
        *(_document(f"/.well-known/{name}{tail}", own) for name in _SERVER for tail in _tails(place)),
        *(_document(f"{MCP}/.well-known/{name}", own) for name in _SERVER),
        *resource_documents(place),
        library["/register"],
        Route("/token", _TokenPath(library["/token"].endpoint, place), methods=["POST", "OPTIONS"]),
    ]

    async def revoke(request: Request) -> Response:
        form = await request.form(max_fields=20, max_files=0)
        token, client = form.get("token"), form.get("client_id")
        if not isinstance(token, str) or not isinstance(client, str):
            return _error("invalid_request", "token and client_id are needed.", 400)
        await provider.end(token, client)
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    methods = ["POST", "OPTIONS"]
    return [*found, Route("/revoke", cors_middleware(revoke, methods), methods=methods)]


def resource_documents(place: Place) -> list[Route]:
    """Who lets agents in here, at every form that agents ask for."""
    told = _resource_metadata(place)
    return [_document(f"/.well-known/oauth-protected-resource{tail}", told) for tail in _tails(place)]


_SERVER = ("oauth-authorization-server", "openid-configuration")


def _tails(place: Place) -> list[str]:
    """What agents write behind an address of metadata, each once."""
    return list(dict.fromkeys(("", MCP, place.prefix, place.at(MCP))))


def _metadata(place: Place) -> dict[str, object]:
    return {
        "issuer": place.issuer,
        "authorization_endpoint": f"{place.base}/authorize",
        "token_endpoint": f"{place.base}/token",
        "registration_endpoint": f"{place.base}/register",
        "revocation_endpoint": f"{place.base}/revoke",
        "scopes_supported": list(place.scopes),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def _resource_metadata(place: Place) -> dict[str, object]:
    return {
        "resource": place.resource,
        "authorization_servers": place.issuers,
        "scopes_supported": list(place.scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": "Interactive Brokers",
    }


def _document(path: str, content: dict[str, object]) -> Route:
    async def show(request: Request) -> Response:
        return JSONResponse(content, headers=_FRESH)

    methods = ["GET", "HEAD", "OPTIONS"]
    return Route(path, cors_middleware(show, methods), methods=methods)


def _authorize(provider: OwnerOAuth) -> Callable[[Request], object]:
    handler, base = AuthorizationHandler(provider), provider.place.base

    async def authorize(request: Request) -> Response:
        asked = request.query_params if request.method == "GET" else await request.form()
        try:
            await provider.look_up(str(asked.get("client_id", "")))
        except ClientUnknown as problem:
            return pages.refusal(str(problem))
        response = await handler.handle(request)
        location = response.headers.get("location")
        if location is None:
            return pages.refusal(_said(bytes(response.body)), response.status_code)
        if not location.startswith(f"{base}/consent?"):
            response.headers["location"] = build_client_redirect(location, {}, iss=provider.place.issuer)
        return response

    return authorize


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error_description"])[:300]
    except (ValueError, KeyError, TypeError):
        return "The request of the agent cannot be read."


class _TokenPath:
    """``/token`` that refuses tokens for others; the library reads no resource there."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages = await _bounded(receive) or []
        form = parse_qs(b"".join(message.get("body", b"") for message in messages).decode("latin-1"))
        if all(map(self._place.is_meant_by, form.get("resource", ()))):
            await self._app(scope, _again(messages, receive), send)
            return
        refused = _error("invalid_target", f"The resource of this server is {self._place.resource}.", 400)
        await refused(scope, receive, send)


def _error(error: str, description: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    if status in (429, 503):
        headers["Retry-After"] = "60" if status == 429 else "5"
    return JSONResponse({"error": error, "error_description": description}, status, headers)


async def _bounded(receive: Receive) -> list[Message] | None:
    """All messages of a body, None when it is too large."""
    messages, size = [await receive()], 0
    while True:
        size += len(messages[-1].get("body", b""))
        if size > _LARGEST_BODY:
            return None
        if not messages[-1].get("more_body"):
            return messages
        messages.append(await receive())


def _again(messages: list[Message], receive: Receive) -> Receive:
    unread = list(messages)

    async def read() -> Message:
        return unread.pop(0) if unread else await receive()

    return read
