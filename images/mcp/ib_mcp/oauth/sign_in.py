"""How the owner signs in on the pages of this server: by passphrase, or at the owner's identity provider."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.auth.failures import TokensUnavailable
from ib_mcp.oauth import pages
from ib_mcp.oauth.identity_provider import IdentityProvider, NotLetIn
from ib_mcp.oauth.owner_session import OwnerSession
from ib_mcp.oauth.passphrase import Passphrase, TooManyTries
from ib_mcp.oauth.place import Place
from ib_mcp.oauth.store import Store

PATH = "/sign-in"
APPROVALS = "/approvals"
_BACK = re.compile(r"/|/approvals|/consent\?request=[A-Za-z0-9_-]{1,100}")
_UNDER_WAY_S = 600
_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why somebody is not signed in, for the page."""

    text: str
    status: int = 403
    retry_after_s: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


class SignIn:
    """At least one of ``passphrase`` and ``provider``."""

    def __init__(
        self,
        place: Place,
        store: Store,
        session: OwnerSession,
        passphrase: Passphrase | None,
        provider: IdentityProvider | None,
    ) -> None:
        self._place = place
        self._store = store
        self.session = session
        self._passphrase = passphrase
        self._provider = provider

    @property
    def fields(self) -> str:
        """What a form needs for it."""
        parts = []
        if self._passphrase is not None:
            parts.append(
                "<label>Passphrase of the owner"
                "<input type=password name=passphrase autocomplete=current-password></label>"
                "<p><button class=button name=answer value=sign-in>Sign in</button></p>"
            )
        if self._provider is not None:
            kind = "button" if self._passphrase is None else "quiet"
            name = escape(self._provider.name)
            parts.append(f"<p><button class={kind} name=answer value=provider>Sign in at {name}</button></p>")
        return "".join(parts)

    def page(self, title: str, action: str, problem: Problem | None = None) -> Response:
        """What is shown to who has not signed in; the form goes to ``action``."""
        form = f'<form method=post action="{escape(action)}">{self.fields}</form>'
        main = pages.alert(problem.text if problem else "") + form
        if problem is None:
            return pages.response(title, main, leads_elsewhere=True)
        return pages.response(title, main, status=problem.status, headers=problem.headers, leads_elsewhere=True)

    async def answer(self, request: Request, given: dict[str, str], back: str) -> Response | Problem:
        """To the form: on to ``back`` (a path of this server) when it is the owner, or to the provider."""
        if given.get("answer") == "provider" and self._provider is not None:
            return await self._leave(request, self._provider, back)
        if self._passphrase is None:
            return Problem("Sign in at the provider.")
        try:
            if not await self._passphrase.is_right(given.get("passphrase", "")):
                return Problem("The passphrase is wrong.")
        except TooManyTries as problem:
            wait = int(problem.retry_after_s) + 1
            return Problem(f"Too many wrong passphrases: try again in {wait} seconds.", 429, wait)
        response = RedirectResponse(self._place.at(back), 303, _FRESH)
        await self.session.begin(request, response)
        return response

    async def _leave(self, request: Request, provider: IdentityProvider, back: str) -> Response | Problem:
        state = secrets.token_urlsafe(32)
        try:
            response = RedirectResponse(await provider.start(state, await self._store.key()), 303, _FRESH)
        except (TokensUnavailable, KeyError):
            return Problem(f"{provider.name} does not answer; try again soon.", 503, 5)
        self.session.keep(request, response, "ib-sign-in", f"{state}.{back}", _UNDER_WAY_S)
        return response

    async def called_back(self, request: Request) -> Response:
        """The browser is back from the provider."""
        told = {name: value[:4096] for name, value in request.query_params.items()}
        state, _, back = request.cookies.get(self.session.cookie(request, "ib-sign-in"), "").partition(".")
        is_ours = hmac.compare_digest(state.encode(), told.get("state", "").encode())
        if self._provider is None or not state or not is_ours:
            return pages.refusal("This sign-in is over, or began in another browser.", 403)
        try:
            await self._provider.finish(told, await self._store.key())
        except NotLetIn as problem:
            return pages.refusal(str(problem), 403)
        except TokensUnavailable:
            return pages.refusal(f"{self._provider.name} does not answer; try again soon.", 503)
        response = RedirectResponse(self._place.at(back if _BACK.fullmatch(back) else "/"), 303, _FRESH)
        response.delete_cookie(self.session.cookie(request, "ib-sign-in"), path="/")
        await self.session.begin(request, response)
        return response
