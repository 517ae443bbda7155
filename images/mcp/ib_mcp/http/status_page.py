"""The owner's page at the root, behind the passphrase or on this machine: the session, who calls, who was let in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ib_mcp.agent_log import AgentLog
from ib_mcp.guard.client import Guard
from ib_mcp.oauth import pages
from ib_mcp.oauth.passphrase import Passphrase, TooManyTries
from ib_mcp.oauth.provider import Place
from ib_mcp.oauth.store import Store
from ib_service.http.addresses import is_loopback
from ibkr import __version__
from ibkr.errors import IbError

_TITLE = "Interactive Brokers for agents"
_SIGNED_IN_S = 12 * 3600
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# Only for who has scripts, and not while something is being chosen.
_LIVE = """
setInterval(async () => {
  if (document.hidden || document.activeElement !== document.body) return
  const answer = await fetch("/").catch(() => null)
  if (!answer || !answer.ok) return
  const next = new DOMParser().parseFromString(await answer.text(), "text/html")
  document.querySelector("main").replaceWith(next.querySelector("main"))
}, 10000)
"""


class OwnerSession:
    """A signed cookie, so that a restart or another pod asks nobody again."""

    def __init__(self, place: Place, key: bytes, wall: Callable[[], float]) -> None:
        self._host = place.origin.partition("://")[2]
        self._is_https = place.origin.startswith("https:")
        self._key = key
        self._wall = wall

    def name(self, request: Request) -> str:
        # Through a port-forward the page is at http://localhost.
        is_secure = self._is_https and request.headers.get("host") == self._host
        return "__Host-ib-owner" if is_secure else "ib-owner"

    def begin(self, request: Request, response: Response) -> None:
        name, ends = self.name(request), str(int(self._wall()) + _SIGNED_IN_S)
        value = f"{ends}.{self._proof('session', ends)}"
        is_secure = name.startswith("__Host-")
        response.set_cookie(
            name, value, max_age=_SIGNED_IN_S, path="/", secure=is_secure, httponly=True, samesite="strict"
        )

    def form_proof(self, request: Request) -> str:
        return self._proof("form", request.cookies.get(self.name(request), ""))

    def is_signed_in(self, request: Request) -> bool:
        ends, _, proof = request.cookies.get(self.name(request), "").partition(".")
        is_ours = hmac.compare_digest(proof.encode(), self._proof("session", ends).encode())
        return is_ours and ends.isdecimal() and self._wall() < int(ends)

    def _proof(self, kind: str, text: str) -> str:
        return hmac.new(self._key, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()


class OwnersPage:
    """With a passphrase: sign in, look, end grants."""

    def __init__(self, guard: Guard, agents: AgentLog, store: Store, passphrase: Passphrase, place: Place) -> None:
        self._guard = guard
        self._agents = agents
        self._store = store
        self._passphrase = passphrase
        self._session = OwnerSession(place, store.key, store.now)

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._act(request)
        if not self._session.is_signed_in(request):
            return _sign_in()
        grants = _grants(self._store, self._session.form_proof(request))
        shown = await _shown(self._guard, self._agents)
        return pages.response(_TITLE, shown + grants, tone="good", script=_LIVE, is_wide=True)

    async def _act(self, request: Request) -> Response:
        form = await request.form(max_fields=10, max_files=0)
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        back = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        if given.get("action") == "sign-in":
            try:
                if not await self._passphrase.is_right(given.get("passphrase", "")):
                    return _sign_in("The passphrase is wrong.", 403)
            except TooManyTries as problem:
                wait = int(problem.retry_after_s) + 1
                return _sign_in(f"Too many wrong passphrases: try again in {wait} seconds.", 429, str(wait))
            self._session.begin(request, back)
            return back
        if not self._session.is_signed_in(request):
            return _sign_in("Sign in first.", 403)
        proof = self._session.form_proof(request)
        if not hmac.compare_digest(given.get("proof", "").encode(), proof.encode()):
            return pages.refusal("The answer did not come from the page of this server.", 403)
        if given.get("action") == "revoke":
            self._store.revoke(given.get("grant", ""))
        else:
            back.delete_cookie(self._session.name(request), path="/")
        return back


class LocalPage:
    """Without one: for who sits at this machine, to look."""

    def __init__(self, guard: Guard, agents: AgentLog) -> None:
        self._guard = guard
        self._agents = agents

    async def handle(self, request: Request) -> Response:
        is_here = request.client is not None and is_loopback(request.client.host)
        is_direct = not any(name in request.headers for name in _FORWARDED)
        if not (is_here and is_direct and is_loopback(request.url.hostname or "")):
            main = "<p>This page is for the machine on which the server runs.</p>"
            return pages.response("Not from there", main, tone="bad", status=403)
        shown = await _shown(self._guard, self._agents)
        return pages.response(_TITLE, shown, tone="good", script=_LIVE, is_wide=True)


def _sign_in(problem: str = "", status: int = 200, retry_after: str = "") -> Response:
    alert = f"<p role=alert>{escape(problem)}</p>" if problem else ""
    body = f"""{alert}<form method=post action="/"><input type=hidden name=action value=sign-in>
<label>Passphrase of the owner<input type=password name=passphrase autocomplete=current-password></label>
<p><button class=button>Sign in</button></p></form>"""
    headers = {"Retry-After": retry_after} if retry_after else None
    return pages.response("Sign in to see the status", body, status=status, headers=headers)


async def _shown(guard: Guard, agents: AgentLog) -> str:
    return await _session_of(guard) + _agents_of(agents) + f"<p class=detail>ib-mcp {escape(__version__)}</p>"


async def _session_of(guard: Guard) -> str:
    try:
        status = await guard.status()
    except IbError as error:
        return f"<h2>Session</h2><p role=alert>{escape(error.message)}</p><p>{escape(error.action)}</p>"
    rows = [("State", status.state.value), ("Mode", status.mode), ("Since", _time(status.state_since))]
    if status.login.deadline is not None:
        rows.append(("Expected to end", _time(status.login.deadline)))
    if status.login.url_hint:
        rows.append(("Sign in at", status.login.url_hint))
    if status.pacing.penalty_until:
        rows.append(("IBKR refuses requests until", _time(status.pacing.penalty_until)))
    body = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>Session</h2><table>{body}</table>"


def _agents_of(agents: AgentLog) -> str:
    rows = [
        (name, str(calls.count), f"{_time(calls.last_at)} {calls.last_tool}", f"{calls.errors} {calls.last_error}")
        for name, calls in sorted(agents.by_name.items(), key=lambda pair: -pair[1].last_at)
    ]
    if not rows:
        return "<h2>Agents</h2><p>None has called since the server started.</p>"
    return f"<h2>Agents</h2>{_table(('Agent', 'Calls', 'Last', 'Errors'), rows)}"


def _grants(store: Store, proof: str) -> str:
    rows = []
    for grant, since, used in store.grants():
        button = (
            f'<form method=post action="/"><input type=hidden name=proof value="{proof}">'
            f'<input type=hidden name=grant value="{escape(grant.id)}"><button class=quiet name=action value=revoke'
            f' aria-label="Revoke {escape(grant.name)}">Revoke</button></form>'
        )
        scopes = " ".join(scope.removeprefix("ibkr:") for scope in grant.scopes)
        cells = (grant.name, scopes, " ".join(grant.accounts or ()) or "all", _time(since), _time(used))
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells) + f"<td>{button}</td>")
    head = "".join(f"<th scope=col>{name}</th>" for name in ("Agent", "May", "Accounts", "Since", "Renewed", "End it"))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    listed = f"<div class=scroll role=region aria-label=Grants tabindex=0><table><tr>{head}</tr>{body}</table></div>"
    hidden = f'<input type=hidden name=proof value="{proof}">'
    button = "<p><button class=quiet name=action value=out>Sign out</button></p>"
    out = f'<form method=post action="/">{hidden}{button}</form>'
    return f"<h2>Let in by OAuth</h2>{listed if rows else '<p>None.</p>'}{out}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=scroll role=region aria-label=Agents tabindex=0><table><tr>{top}</tr>{body}</table></div>"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "unknown"
