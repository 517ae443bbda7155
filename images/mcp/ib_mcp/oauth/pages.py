"""The pages that a person sees; no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from ib_mcp.auth.scopes import READ, TRADE, WRITE
from ib_service.http import page
from ibkr.wording import Tone

_WHAT = {
    READ: "Read: accounts, positions, orders, prices",
    WRITE: "Change what IBKR keeps for you: watchlists, alerts",
    TRADE: "Trade: place and cancel orders",
}


def response(
    title: str,
    main: str,
    *,
    tone: Tone = "act",
    status: int = 200,
    headers: dict[str, str] | None = None,
    script: str = "",
    is_wide: bool = False,
    leads_elsewhere: bool = False,
) -> HTMLResponse:
    """A page. ``main`` is HTML; ``script`` is the only one that runs; ``leads_elsewhere`` as in ``page.headers``."""
    text = page.document(title, page.heading(title) + main, tone=tone, script=script, is_wide=is_wide)
    return HTMLResponse(text, status, {**page.headers(script, leads_elsewhere=leads_elsewhere), **(headers or {})})


def refusal(said: str, status: int = 400) -> HTMLResponse:
    advice = "<p class=detail>Go back to your agent and connect again.</p>"
    return response("This cannot go on", f"<p>{escape(said)}</p>{advice}", tone="bad", status=status)


def consent(
    *,
    client_name: str | None,
    redirect_uri: str,
    asked: list[str],
    offered: tuple[str, ...],
    hidden: dict[str, str],
    published_by: str | None = None,
    accounts: str = "",
    problem: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """Who asks, where the answer goes, and for what. ``published_by``: the host that vouches for the name."""
    url = urlsplit(redirect_uri)
    where = url.hostname or f"{url.scheme}:"
    hidden_fields = "".join(
        f'<input type=hidden name="{name}" value="{escape(value)}">' for name, value in hidden.items()
    )
    boxes = "".join(_box(scope, scope in asked) for scope in offered)
    alert = f"<p role=alert>{escape(problem)}</p>" if problem else ""
    own_machine = " (a program on the machine of your browser)" if where in ("localhost", "127.0.0.1", "::1") else ""
    vouched = f"<p class=detail>as {escape(published_by)} publishes it</p>" if published_by else ""
    body = f"""
<p>An agent that calls itself</p><p class=named>{escape(client_name or "(no name)")}</p>{vouched}
<p>wants to use your IBKR accounts through this server. Your answer is sent to</p>
<p class=named>{escape(where)}</p><p class=detail>{escape(redirect_uri[:300])}{own_machine}</p>
<p>If you did not just start this in your agent, deny it: anyone can choose the name.</p>{alert}
<form method=post action="/consent">{hidden_fields}
<fieldset><legend>It may</legend>{boxes}</fieldset>
<label>Only these accounts <small>(ids separated by commas; empty: all)</small>
<input type=text name=accounts autocomplete=off value="{escape(accounts)}"></label>
<label>Passphrase of the owner<input type=password name=passphrase autocomplete=current-password></label>
<p><button class=button name=answer value=allow>Allow</button>
<button class=quiet name=answer value=deny>Deny</button></p></form>"""
    return response("Let this agent in?", body, status=status, headers=headers, leads_elsewhere=True)


def _box(scope: str, is_asked: bool) -> str:
    # Trading is never ticked for the owner.
    state = " checked disabled" if scope == READ else " checked" if is_asked and scope != TRADE else ""
    return f'<label><input type=checkbox name=scope value="{scope}"{state}> {escape(_WHAT[scope])}</label>'
