"""The pages that a person sees; no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from ib_mcp.auth.scopes import READ, TRADE, WRITE

_WHAT = {
    READ: "Read: accounts, positions, orders, prices",
    WRITE: "Change what IBKR keeps for you: watchlists, alerts",
    TRADE: "Trade: place and cancel orders",
}
# No form-action: browsers would stop the way back to the agent.
_POLICY = "Content-Security-Policy"
_HEADERS = {
    _POLICY: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#556;--line:#8a93a0;--ground:#f5f6f8;--card:#fff;
--go:#0b5d3b;--bad:#a3201c}@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#aab3c0;--line:#6b7685;
--ground:#14181e;--card:#1e242c;--go:#8fe0b8;--bad:#ffb0a8}}*{box-sizing:border-box}body{margin:0;padding:1rem;
background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}main{max-width:32rem;
margin:2rem auto;padding:1.5rem;background:var(--card);border-radius:.75rem}h1{font-size:1.4rem;margin:0 0 1rem;
overflow-wrap:anywhere}.host{font-size:1.5rem;font-weight:700;overflow-wrap:anywhere}p{margin:.5rem 0}
small,.soft{color:var(--soft)}fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0}label{
display:block;margin:.4rem 0}input[type=text],input[type=password]{width:100%;padding:.6rem;font:inherit;
color:inherit;background:transparent;border:1px solid var(--line);border-radius:.4rem}[role=alert]{
color:var(--bad);font-weight:600}button{font:inherit;padding:.6rem 1.2rem;border-radius:.4rem;
border:1px solid var(--line);background:transparent;color:inherit}button.go{background:var(--go);
border-color:var(--go);color:var(--card);margin-right:.5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
.wide{overflow-x:auto}.wide td,.wide th{white-space:nowrap}
table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .8rem .3rem 0;
vertical-align:top}
"""


def page(
    title: str, body: str, status: int = 200, headers: dict[str, str] | None = None, script: str = ""
) -> HTMLResponse:
    """``script`` may ask this server again, and is the only one that may run."""
    own = {}
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"{_HEADERS[_POLICY]}; script-src 'sha256-{digest}'; connect-src 'self'"
        script, own = f"<script>{script}</script>", {_POLICY: policy}
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{script}</head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, {**_HEADERS, **own, **(headers or {})})


def refusal(said: str, status: int = 400) -> HTMLResponse:
    advice = "<p class=soft>Go back to your agent and connect again.</p>"
    return page("This cannot go on", f"<p>{escape(said)}</p>{advice}", status)


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
    vouched = f"<p class=soft>as {escape(published_by)} publishes it</p>" if published_by else ""
    body = f"""
<p>An agent that calls itself</p><p class=host>{escape(client_name or "(no name)")}</p>{vouched}
<p>wants to use your IBKR accounts through this server. Your answer is sent to</p>
<p class=host>{escape(where)}</p><p class=soft>{escape(redirect_uri[:300])}{own_machine}</p>
<p>If you did not just start this in your agent, deny it: anyone can choose the name.</p>{alert}
<form method=post action="/consent">{hidden_fields}
<fieldset><legend>It may</legend>{boxes}</fieldset>
<label>Only these accounts <small>(ids separated by commas; empty: all)</small>
<input type=text name=accounts autocomplete=off value="{escape(accounts)}"></label>
<label>Passphrase of the owner<input type=password name=passphrase autocomplete=current-password></label>
<p><button class=go name=answer value=allow>Allow</button><button name=answer value=deny>Deny</button></p></form>"""
    return page("Let this agent in?", body, status, headers)


def _box(scope: str, is_asked: bool) -> str:
    # Trading is never ticked for the owner.
    state = " checked disabled" if scope == READ else " checked" if is_asked and scope != TRADE else ""
    return f'<label><input type=checkbox name=scope value="{scope}"{state}> {escape(_WHAT[scope])}</label>'
