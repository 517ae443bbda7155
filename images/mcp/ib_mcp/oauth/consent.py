"""The owner's answer to an agent that asks to be let in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlsplit

from fastmcp.server.auth.redirect_validation import build_client_redirect
from mcp.server.auth.provider import AuthorizationParams
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.auth.scopes import READ
from ib_mcp.auth.tokens import ACCOUNT
from ib_mcp.oauth import pages
from ib_mcp.oauth.client_documents import is_document
from ib_mcp.oauth.passphrase import Passphrase, TooManyTries
from ib_mcp.oauth.provider import REQUEST_S, OwnerOAuth

_OVER = "The request is over, was answered already, or never was."
_OTHER = "The request was opened in another browser."


class ConsentPage:
    def __init__(self, provider: OwnerOAuth, passphrase: Passphrase) -> None:
        self._provider = provider
        self._store = provider.store
        self._passphrase = passphrase
        self._is_secure = provider.place.origin.startswith("https:")
        self._cookie = "__Host-ib-consent" if self._is_secure else "ib-consent"

    async def handle(self, request: Request) -> Response:
        return await (self._answer(request) if request.method == "POST" else self._show(request))

    async def _show(self, request: Request) -> Response:
        secret = request.query_params.get("request", "")
        asked = self._store.request(secret)
        if asked is None:
            return pages.refusal(_OVER)
        browser = request.cookies.get(self._cookie) or secrets.token_urlsafe(32)
        if not self._store.bind_request(secret, browser):
            return pages.refusal(_OTHER, 403)
        response = self._page(secret, browser, asked)
        response.set_cookie(
            self._cookie,
            browser,
            max_age=int(REQUEST_S),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def _answer(self, request: Request) -> Response:
        form = await request.form(max_fields=20, max_files=0)
        secret, browser = _text(form, "request"), request.cookies.get(self._cookie, "")
        asked = self._store.request(secret)
        if asked is None:
            return pages.refusal(_OVER)
        if not browser or not self._store.bind_request(secret, browser):
            return pages.refusal(_OTHER, 403)
        if not hmac.compare_digest(_text(form, "proof").encode(), _proof(secret, browser).encode()):
            return pages.refusal("The answer did not come from the page of this server.", 403)
        params = AuthorizationParams.model_validate(asked["params"])
        if _text(form, "answer") != "allow":
            if not self._store.take_request(secret):
                return pages.refusal(_OVER)
            return self._back(params, {"error": "access_denied", "error_description": "The owner denied it."})
        typed = _text(form, "accounts")
        accounts = [one for one in typed.replace(",", " ").split() if one]
        chosen = [scope for scope in self._provider.place.scopes if scope == READ or scope in form.getlist("scope")]
        if not all(map(ACCOUNT.fullmatch, accounts)):
            return self._page(secret, browser, asked, chosen, typed, "An id of an account looks like U1234567.", 400)
        try:
            if not await self._passphrase.is_right(_text(form, "passphrase")):
                return self._page(secret, browser, asked, chosen, typed, "The passphrase is wrong.", 403)
        except TooManyTries as problem:
            wait = str(int(problem.retry_after_s) + 1)
            said = f"Too many wrong passphrases: try again in {wait} seconds."
            return self._page(secret, browser, asked, chosen, typed, said, 429, {"Retry-After": wait})
        if not self._store.take_request(secret):
            return pages.refusal(_OVER)
        code = self._provider.approve(asked["client"], asked["client_name"], params, chosen, accounts)
        return self._back(params, {"code": code})

    def _page(
        self,
        secret: str,
        browser: str,
        asked: dict[str, Any],
        chosen: list[str] | None = None,
        accounts: str = "",
        problem: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        return pages.consent(
            client_name=asked["client_name"],
            redirect_uri=asked["params"]["redirect_uri"],
            asked=chosen if chosen is not None else asked["params"]["scopes"] or [READ],
            offered=self._provider.place.scopes,
            published_by=urlsplit(asked["client"]).hostname if is_document(asked["client"]) else None,
            hidden={"request": secret, "proof": _proof(secret, browser)},
            accounts=accounts,
            problem=problem,
            status=status,
            headers=headers,
        )

    def _back(self, params: AuthorizationParams, answer: dict[str, str]) -> Response:
        if params.state is not None:
            answer["state"] = params.state
        url = build_client_redirect(str(params.redirect_uri), answer, iss=self._provider.place.issuer)
        return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _proof(secret: str, browser: str) -> str:
    """What only the page knows that was shown to this browser."""
    return hashlib.sha256(f"{secret}:{browser}".encode()).hexdigest()


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
