"""The login port: the landing page that shows the session's state, orders to approve, the gateway's sign-in pages."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ib_keepalive.http import hosts
from ib_keepalive.login import pages
from ib_keepalive.login.approvals import PATH as APPROVALS
from ib_keepalive.login.approvals import ApprovalPage
from ib_keepalive.login.forward import Forwarder
from ib_keepalive.login.paths import METHODS, TAKE_OVER, is_sign_in_path
from ib_keepalive.session.keeper import Keeper
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.trading.service import Trading
from ib_service.http.caller_gone import CallerGone
from ibkr.errors import IbError
from ibkr.wording import WORDS

__all__ = ["create_login"]

_NO_SIGN_IN = ("There is no sign-in here", "IBKR is reached by OAuth keys. Run 'ib-mcp oauth check' where they are.")


def create_login(
    settings: KeepaliveSettings,
    client: httpx.AsyncClient,
    keeper: Keeper,
    trading: Trading,
    wall: Callable[[], float],
) -> ASGIApp:
    """The ASGI app."""
    approvals = ApprovalPage(trading, lambda: keeper.status().mode, wall)
    forwarder = Forwarder(
        client,
        settings.gateway_origin or settings.gateway_url,
        signed_in=keeper.tracker.note_signed_in,
        another_session=keeper.tracker.note_session_cookie,
    )

    async def answer(request: Request) -> Response:
        refused = _refuse(request, settings.login_names)
        if refused is not None:
            return refused
        path = request.scope["path"]
        if path == "/" and request.method in ("GET", "HEAD"):
            keeper.tracker.watch()
            where = None if trading.standing.policy().mode in ("off", "preview") else APPROVALS
            return _page(pages.landing(WORDS[keeper.status().state], approvals=where), 200)
        if path == "/login-status" and request.method == "GET":
            return JSONResponse(login_status(keeper), headers={"Cache-Control": "no-store"})
        if path == TAKE_OVER and request.method == "POST":
            return await _take_over(keeper)
        if path == APPROVALS:
            return await approvals.answer(request)
        if path == "/favicon.ico" and request.method == "GET":
            return Response(pages.ICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
        if not is_sign_in_path(request.scope["raw_path"]) or request.method not in METHODS:
            return _page(pages.problem("There is nothing here", "This port serves IBKR's sign-in pages only."), 404)
        if settings.backend != "gateway":
            return _page(pages.problem(*_NO_SIGN_IN), 404)
        if request.method == "POST":
            keeper.tracker.note_signing_in()
        else:
            keeper.tracker.watch()
        try:
            return await forwarder.forward(request)
        except IbError as error:
            return _page(pages.problem(error.message, error.action), error.status)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            try:
                response = await answer(Request(scope, receive))
            except CallerGone:
                return
            await response(scope, receive, send)

    return app


async def _take_over(keeper: Keeper) -> Response:
    """One request that takes the session from another program; the landing page shows what becomes of it."""
    try:
        await keeper.take_over()
    except IbError as error:
        return _page(pages.problem(error.message, error.action), error.status)
    return RedirectResponse("/", 303)


def login_status(keeper: Keeper) -> dict[str, object]:
    """What the landing page shows: the state in words and a few facts of ``/status``."""
    status = keeper.status()
    words = WORDS[status.state]
    return {
        "state": status.state,
        "title": words.title,
        "advice": words.advice,
        "tone": words.tone,
        "offers_sign_in": words.offers_sign_in,
        "offers_take_over": words.offers_take_over,
        "detail": status.auth.message,
        "mode": status.mode,
        "state_since": status.state_since,
        "age_seconds": status.age_seconds,
        "latency_ms": status.gateway.latency_ms,
        "deadline": status.login.deadline,
    }


def _refuse(request: Request, names: tuple[str, ...]) -> Response | None:
    if not hosts.admits_host(request.headers, names):
        problem = pages.problem(
            "This address is not served here",
            "Open this port as http://localhost:PORT, or list the name in IB_KEEPALIVE_LOGIN_NAMES.",
        )
        return _page(problem, 403)
    if hosts.admits_origin(request.headers):
        return None
    is_link = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
    if not is_link or "origin" in request.headers:
        return _page(pages.problem("Another web page sent this", "Start again from this port's own page."), 403)
    # A link from elsewhere leads to pages that only show something: one into the sign-in could end it for somebody
    # else's user.
    return None if request.scope["path"] in ("/", APPROVALS) else RedirectResponse("/", 303)


def _page(document: str, status: int) -> Response:
    return HTMLResponse(document, status, headers=pages.HEADERS)
