"""The owner's page at the root, behind the owner's sign-in or on this machine."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.agent_log import AgentLog
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ib_mcp.http.status_view import Form, Shown, main, tone_of
from ib_mcp.http.ways_in import WaysIn
from ib_mcp.metrics import refusals
from ib_mcp.oauth import pages
from ib_mcp.oauth.provider import OwnerOAuth
from ib_mcp.oauth.sign_in import APPROVALS, Problem, SignIn
from ib_service.http.addresses import is_loopback
from ibkr.errors import IbError, UpstreamTimeout
from ibkr.session import Status

_TITLE = "Interactive Brokers for agents"
_CLOSED = "Sign in to see the status"
_FIXED = "The tokens cannot be changed from here: run ib-mcp token revoke {name}."
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# A person waits for the page.
_PATIENCE_S = 5
# Only for who has scripts, and not while something is being chosen.
_LIVE = """
setInterval(async () => {
  if (document.hidden || document.activeElement !== document.body) return
  const answer = await fetch(location.pathname).catch(() => null)
  if (!answer || !answer.ok) return
  const next = new DOMParser().parseFromString(await answer.text(), "text/html")
  document.querySelector("main").replaceWith(next.querySelector("main"))
}, 5000)
"""


class StatusPage:
    """What there is to see, for whoever may."""

    def __init__(self, guard: Guard, agents: AgentLog, ways: WaysIn) -> None:
        self._guard = guard
        self._agents = agents
        self._ways = ways
        self._started_at = time.time()

    async def response(self, **more: Any) -> Response:
        sessions = await _sessions(self._guard)
        tokens = self._ways.tokens
        shown = Shown(
            sessions,
            self._agents.by_name,
            refusals(),
            self._started_at,
            tokens=() if tokens is None else tokens.in_folder(),
            fixed=() if tokens is None else tokens.fixed(),
            **more,
        )
        tone = tone_of(sessions.values())
        return pages.response(_TITLE, main(shown), tone=tone, script=_LIVE, is_wide=True)


class OwnersPage:
    """For the owner who has signed in: look, end tokens and grants."""

    def __init__(self, page: StatusPage, oauth: OwnerOAuth, sign_in: SignIn, ways: WaysIn, has_approvals: bool) -> None:
        self._page = page
        self._store = oauth.store
        self._home = oauth.place.at("/")
        self._approvals = oauth.place.at(APPROVALS) if has_approvals else None
        self._sign_in = sign_in
        self._session = sign_in.session
        self._tokens = ways.tokens

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._act(request)
        if not await self._session.is_signed_in(request):
            return self._closed()
        return await self._show(request)

    async def _show(self, request: Request, notice: str = "") -> Response:
        form = Form(self._home, await self._session.form_proof(request))
        grants = await self._store.grants()
        return await self._page.response(grants=grants, approvals=self._approvals, form=form, notice=notice)

    async def _act(self, request: Request) -> Response:
        sent = await request.form(max_fields=10, max_files=0)
        given = {name: value for name, value in sent.items() if isinstance(value, str)}
        answer, name = given.get("answer"), given.get("name", "")
        if answer in ("sign-in", "provider"):
            done = await self._sign_in.answer(request, given, "/")
            return self._closed(done) if isinstance(done, Problem) else done
        if not await self._session.is_signed_in(request):
            return self._closed(Problem("Sign in first."))
        proof = await self._session.form_proof(request)
        if not hmac.compare_digest(given.get("proof", "").encode(), proof.encode()):
            return pages.refusal("The answer did not come from the page of this server.", 403)
        back = RedirectResponse(self._home, 303, {"Cache-Control": "no-store"})
        if answer == "revoke":
            await self._store.revoke(name)
        elif answer == "revoke-token":
            if self._tokens is None or not self._tokens.revoke(name):
                return await self._show(request, _FIXED.format(name=name[:40]))
        else:
            self._session.end(request, back)
        return back

    def _closed(self, problem: Problem | None = None) -> Response:
        return self._sign_in.page(_CLOSED, self._home, problem)


class LocalPage:
    """Without one: for who sits at this machine, to look."""

    def __init__(self, page: StatusPage) -> None:
        self._page = page

    async def handle(self, request: Request) -> Response:
        is_here = request.client is not None and is_loopback(request.client.host)
        is_direct = not any(name in request.headers for name in _FORWARDED)
        if is_here and is_direct and is_loopback(request.url.hostname or ""):
            return await self._page.response()
        told = "<p>This page is for the machine on which the server runs.</p>"
        return pages.response("Not from there", told, tone="bad", status=403)


async def _sessions(guard: Guard) -> Mapping[str, Status | IbError]:
    """The state of each gateway, or why it is not known."""
    each = guard.each()

    async def ask(one: Guard) -> Status | IbError:
        try:
            with anyio.fail_after(_PATIENCE_S):
                return await one.status()
        except IbError as error:
            return error
        except TimeoutError:
            return UpstreamTimeout("The guard does not answer.")

    found = await gather([ask(one) for one in each.values()])
    return dict(zip(each, found, strict=True))
