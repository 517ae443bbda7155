"""Orders that wait for a person, behind the owner's sign-in: no token of an agent opens this."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.guard.client import Guard
from ib_mcp.guard.desk import Desk
from ib_mcp.oauth import pages
from ib_mcp.oauth.place import Place
from ib_mcp.oauth.sign_in import APPROVALS, Problem, SignIn
from ib_service.http import approval_page
from ib_service.http.approval_page import Paths
from ibkr.errors import IbError

_BY = "the owner, signed in at the MCP server"
_CLOSED = "Sign in to approve orders"


class ApprovalPage:
    """Of every gateway; a ticket of one of several begins with the gateway's name."""

    def __init__(self, guard: Guard, place: Place, sign_in: SignIn, wall: Callable[[], float] = time.time) -> None:
        self._desk = Desk(guard)
        self._paths = Paths(place.at(APPROVALS), place.at("/"), "Sessions and agents")
        self._sign_in = sign_in
        self._wall = wall

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._act(request)
        if not await self._sign_in.session.is_signed_in(request):
            return self._closed()
        try:
            return await self._show(request)
        except IbError as error:
            return _problem(error)

    async def _show(self, request: Request) -> Response:
        waiting, is_gone = approval_page.first(await self._desk.approvals(), request.query_params.get("ticket", ""))
        notice = approval_page.GONE if is_gone else approval_page.NOTICES.get(request.query_params.get("done", ""), "")
        proof = f'<input type="hidden" name="proof" value="{await self._sign_in.session.form_proof(request)}">'
        main, tone = approval_page.main(
            waiting, self._paths, None, mode="unknown", now=self._wall(), notice=notice, more_fields=proof
        )
        return pages.response(approval_page.TITLE, main, tone=tone)

    async def _act(self, request: Request) -> Response:
        form = await request.form(max_fields=10, max_files=0)
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        answer = given.get("answer")
        if answer in ("sign-in", "provider"):
            done = await self._sign_in.answer(request, given, APPROVALS)
            return self._closed(done) if isinstance(done, Problem) else done
        if not await self._sign_in.session.is_signed_in(request):
            return self._closed(Problem("Sign in first."))
        proof = await self._sign_in.session.form_proof(request)
        if not hmac.compare_digest(given.get("proof", "").encode(), proof.encode()):
            return pages.refusal("The answer did not come from the page of this server.", 403)
        if answer not in ("approve", "refuse") or not given.get("ticket"):
            return pages.refusal("This is no decision; open the page again.")
        try:
            made = await self._desk.decide(given["ticket"], approve=answer == "approve", by=_BY)
        except IbError as error:
            return _problem(error)
        where = f"{self._paths.listed}?done={made.get('decision')}"
        return RedirectResponse(where, 303, {"Cache-Control": "no-store"})

    def _closed(self, problem: Problem | None = None) -> Response:
        return self._sign_in.page(_CLOSED, self._paths.listed, problem)


def _problem(error: IbError) -> Response:
    main = f"<p role=alert>{escape(error.message)}</p><p>{escape(error.action)}</p>"
    return pages.response("This did not work", main, tone="bad", status=error.status)
