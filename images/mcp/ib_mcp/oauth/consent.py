"""The owner's answer to an agent that asks to be let in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastmcp.server.auth.redirect_validation import build_client_redirect
from mcp.server.auth.provider import AuthorizationParams
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.auth.scopes import READ
from ib_mcp.auth.tokens import ACCOUNT
from ib_mcp.oauth import consent_form, pages
from ib_mcp.oauth.client_documents import is_document
from ib_mcp.oauth.consent_form import Asked, Choice
from ib_mcp.oauth.owner_session import OwnerSession
from ib_mcp.oauth.provider import REQUEST_S, OwnerOAuth
from ib_mcp.oauth.sign_in import Problem, SignIn

Accounts = Callable[[], Awaitable[Mapping[str, str]]]
"""How the owner knows each account, by id; none where IBKR does not tell them now."""

_OVER = "The request is over, was answered already, or never was."
_OTHER = "The request was opened in another browser."
# Who signed in longer ago is asked again before an agent is let in.
_SIGNED_IN_S = 600.0


class ConsentPage:
    def __init__(self, provider: OwnerOAuth, sign_in: SignIn, accounts: Accounts) -> None:
        self._provider = provider
        self._store = provider.store
        self._sign_in = sign_in
        self._session: OwnerSession = sign_in.session
        self._accounts = accounts

    async def handle(self, request: Request) -> Response:
        return await (self._answer(request) if request.method == "POST" else self._show(request))

    async def _show(self, request: Request) -> Response:
        secret = request.query_params.get("request", "")
        asked = await self._store.request(secret)
        if asked is None:
            return pages.refusal(_OVER)
        browser = self._browser(request) or secrets.token_urlsafe(32)
        if not await self._store.bind_request(secret, browser):
            return pages.refusal(_OTHER, 403)
        response = await self._page(request, secret, browser, asked)
        self._session.keep(request, response, "ib-consent", browser, int(REQUEST_S))
        return response

    async def _answer(self, request: Request) -> Response:
        form = await request.form(max_fields=200, max_files=0)
        secret, browser = _text(form, "request"), self._browser(request)
        asked = await self._store.request(secret)
        if asked is None:
            return pages.refusal(_OVER)
        if not browser or not await self._store.bind_request(secret, browser):
            return pages.refusal(_OTHER, 403)
        if not hmac.compare_digest(_text(form, "proof").encode(), _proof(secret, browser).encode()):
            return pages.refusal("The answer did not come from the page of this server.", 403)
        params = AuthorizationParams.model_validate(asked["params"])
        answer = _text(form, "answer")
        if answer in ("sign-in", "provider"):
            given = {"answer": answer, "passphrase": _text(form, "passphrase")}
            done = await self._sign_in.answer(request, given, f"/consent?request={secret}")
            return await self._page(request, secret, browser, asked, done) if isinstance(done, Problem) else done
        if answer != "allow":
            if not await self._store.take_request(secret):
                return pages.refusal(_OVER)
            return self._back(params, {"error": "access_denied", "error_description": "The owner denied it."})
        if not await self._session.is_signed_in(request, _SIGNED_IN_S):
            return await self._page(request, secret, browser, asked, Problem("Sign in first."))
        choice = Choice.of(form, self._provider.place.scopes)
        if problem := _wrong(choice):
            return await self._page(request, secret, browser, asked, Problem(problem, 400), choice)
        if not await self._store.take_request(secret):
            return pages.refusal(_OVER)
        code = await self._provider.approve(
            asked["client"], asked["client_name"], params, choice.scopes, choice.limited_to
        )
        return self._back(params, {"code": code})

    async def _page(
        self,
        request: Request,
        secret: str,
        browser: str,
        told: dict[str, Any],
        problem: Problem | None = None,
        choice: Choice | None = None,
    ) -> Response:
        asked = Asked(
            name=told["client_name"],
            published_by=urlsplit(told["client"]).hostname if is_document(told["client"]) else None,
            redirect_uri=told["params"]["redirect_uri"],
            hidden={"request": secret, "proof": _proof(secret, browser)},
            action=self._provider.place.at("/consent"),
        )
        if not await self._session.is_signed_in(request, _SIGNED_IN_S):
            main = consent_form.before_sign_in(asked, self._sign_in.fields)
        else:
            accounts = await self._accounts()
            choice = choice or Choice.at_first(told["params"]["scopes"] or [READ], accounts)
            main = consent_form.form(asked, choice, self._provider.place.scopes, accounts)
        return pages.response(
            consent_form.TITLE,
            pages.alert(problem.text if problem else "") + main,
            status=problem.status if problem else 200,
            headers=problem.headers if problem else None,
            leads_elsewhere=True,
        )

    def _browser(self, request: Request) -> str:
        return request.cookies.get(self._session.cookie(request, "ib-consent"), "")

    def _back(self, params: AuthorizationParams, answer: dict[str, str]) -> Response:
        if params.state is not None:
            answer["state"] = params.state
        url = build_client_redirect(str(params.redirect_uri), answer, iss=self._provider.place.issuer)
        return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _wrong(choice: Choice) -> str | None:
    if not all(map(ACCOUNT.fullmatch, choice.accounts)):
        return "An id of an account looks like U1234567."
    return "Tick one account at least." if choice.listed and not choice.accounts else None


def _proof(secret: str, browser: str) -> str:
    """What only the page knows that was shown to this browser."""
    return hashlib.sha256(f"{secret}:{browser}".encode()).hexdigest()


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
