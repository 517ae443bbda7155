"""Orders that wait for a person, on the login port: who reaches it is the owner, as with the sign-in."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ib_keepalive.http.asgi import read_body
from ib_keepalive.login import pages
from ib_keepalive.trading.service import Trading
from ib_service.http import approval_page
from ib_service.http.approval_page import FormKeys, Paths
from ibkr.errors import IbError

PATH = "/approvals"
_PATHS = Paths(listed=PATH, back="/", back_label="The session's state")
_TICKET = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BY = "the owner, on the login port"


class ApprovalPage:
    """``mode`` is that of the sign-in: paper, live or unknown."""

    def __init__(self, trading: Trading, mode: Callable[[], str], wall: Callable[[], float]) -> None:
        self._trading = trading
        self._mode = mode
        self._wall = wall
        self._keys = FormKeys()

    async def answer(self, request: Request) -> Response:
        """The page, or what a decision leads to. CallerGone when the browser left."""
        try:
            if request.method == "POST":
                return await self._decide(request)
            if request.method in ("GET", "HEAD"):
                return await self._show(request)
        except IbError as error:
            return _problem(error.message, error.action, error.status)
        return _problem("This cannot be done here", "Open the page again.", 405)

    async def _show(self, request: Request) -> Response:
        named = request.query_params.get("ticket", "")
        notice = approval_page.NOTICES.get(request.query_params.get("done", ""), "")
        waiting, is_gone = approval_page.first(await self._trading.approvals(), named)
        if is_gone:
            notice = approval_page.GONE
        mode = self._mode()
        content, tone = approval_page.main(waiting, _PATHS, self._keys, mode=mode, now=self._wall(), notice=notice)
        document = approval_page.document(content, tone)
        return HTMLResponse(document, headers=pages.PLAIN_HEADERS)

    async def _decide(self, request: Request) -> Response:
        length = request.headers.get("content-length")
        content = await read_body(request.receive, None if length is None else length.encode())
        try:
            given = dict(parse_qsl(content.decode("utf-8", "replace"), max_num_fields=10))
        except ValueError:
            given = {}
        ticket, answer = given.get("ticket", ""), given.get("answer")
        if not _TICKET.fullmatch(ticket) or answer not in ("approve", "refuse"):
            return _problem("This is no decision", "Open the page again.", 400)
        if not self._keys.is_right(ticket, given.get("key", "")):
            return _problem("The answer did not come from this page", "Open the page again and decide there.", 403)
        made = await self._trading.desk.decide(ticket, approve=answer == "approve", by=_BY)
        return RedirectResponse(f"{PATH}?done={made['decision']}", 303, {"Cache-Control": "no-store"})


def _problem(title: str, advice: str, status: int) -> Response:
    return HTMLResponse(pages.problem(title, advice, link=PATH, label="Back to the orders"), status, pages.HEADERS)
