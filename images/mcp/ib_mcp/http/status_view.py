"""What the owner's page shows, as HTML. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from ib_mcp.agent_log import Calls
from ib_mcp.auth.granted import Grant
from ib_mcp.auth.tokens import Token
from ib_mcp.oauth.store import Consent
from ibkr import __version__
from ibkr.errors import IbError
from ibkr.session import Status
from ibkr.wording import WORDS, Tone

_MODES = {"paper": "Paper account", "live": "Live account"}
_SOURCES = {
    "upstream": "from IBKR",
    "cache": "from what was known",
    "coalesced": "with another's request",
    "batch": "in a batch of prices",
    "local": "by the guard itself",
    "error": "with an error",
}
_REFUSALS = {
    "401": "without a good token",
    "403": "beyond the token or from a foreign page",
    "404": "at a path that is none",
    "413": "for their size",
    "421": "by a foreign name",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """``sessions`` by gateway; ``refusals`` by status; ``form``: of a button, None where nothing can be ended."""

    sessions: Mapping[str, Status | IbError]
    agents: Mapping[str, Calls]
    refusals: Mapping[str, int]
    started_at: float
    tokens: Sequence[Token] = ()
    fixed: Sequence[Token] = ()
    grants: Sequence[tuple[Consent, float, float]] | None = None
    approvals: str | None = None
    form: Form | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """``proof`` shows that the page of this session was used."""

    action: str
    proof: str

    def button(self, answer: str, name: str, label: str, about: str = "") -> str:
        hidden = f'<input type=hidden name=proof value="{self.proof}">'
        hidden += f'<input type=hidden name=name value="{escape(name)}">'
        told = f' aria-label="{escape(about)}"' if about else ""
        return (
            f'<form method=post action="{escape(self.action)}">{hidden}'
            f"<button class=quiet name=answer value={answer}{told}>{escape(label)}</button></form>"
        )


def tone_of(sessions: Iterable[Status | IbError]) -> Tone:
    """The tone of the worst session."""
    order: tuple[Tone, ...] = ("bad", "act", "wait", "good")
    found = ["bad" if isinstance(one, IbError) else WORDS[one.state].tone for one in sessions]
    return next((tone for tone in order if tone in found), "wait")


def main(shown: Shown) -> str:
    parts = [f"<p role=alert>{escape(shown.notice)}</p>" if shown.notice else ""]
    for name, session in shown.sessions.items():
        parts.append(_session(name if len(shown.sessions) > 1 else "", session, shown.approvals))
    parts += [_agents(shown), _tokens(shown)]
    if shown.grants is not None:
        parts.append(_grants(shown.grants, shown.form))
    if shown.form is not None:
        parts.append(shown.form.button("out", "", "Sign out"))
    builds = {one.gateway.build for one in shown.sessions.values() if isinstance(one, Status) and one.gateway.build}
    programs = "".join(f", IBKR's program {escape(build)}" for build in sorted(builds))
    parts.append(f"<footer>ib-mcp {escape(__version__)}{programs}. Running since {_time(shown.started_at)}.</footer>")
    return "".join(parts)


def _session(name: str, session: Status | IbError, approvals: str | None) -> str:
    head = f"<h2>Session{f' of {escape(name)}' if name else ''}</h2>"
    if isinstance(session, IbError):
        return f"{head}<p role=alert>{escape(session.message)}</p><p>{escape(session.action)}</p>"
    words, login, traffic = WORDS[session.state], session.login, session.traffic
    rows = [("State", session.state.value), ("In this state since", _time(session.state_since))]
    if session.mode in _MODES:
        rows.append(("Account", _MODES[session.mode]))
    if login.deadline is not None:
        rows.append(("Sign-in lasts until about", _time(login.deadline)))
    if login.url_hint:
        rows.append(("To sign in", login.url_hint[:1].upper() + login.url_hint[1:]))
    if session.pacing.penalty_until:
        rows.append(("IBKR refuses requests until", _time(session.pacing.penalty_until)))
    total = sum(traffic.answers.values())
    if total:
        rows.append(("Requests sent to IBKR", f"{traffic.sent}, {traffic.waiting} waiting for their turn"))
        parts = [f"{traffic.answers[key]} {said}" for key, said in _SOURCES.items() if traffic.answers.get(key)]
        rows.append((f"Answers to agents: {total}", ", ".join(parts)))
    trading = session.trading
    if trading.mode != "off":
        rows.append(("Trading", trading.effective_mode + (" (stopped)" if trading.stopped else "")))
        if trading.problem:
            rows.append(("Trading is off because", trading.problem))
    waiting = ""
    if approvals is not None:
        count = "" if trading.pending_approvals is None else f": {trading.pending_approvals}"
        waiting = f'<p><a href="{escape(approvals)}">Orders that wait for your word{count}</a></p>'
    advice = f"<p><strong>{escape(words.title)}.</strong> {escape(words.advice)}</p>"
    return f"{head}{advice}{_facts(rows)}{waiting}"


def _agents(shown: Shown) -> str:
    rows = [
        (name, str(calls.count), f"{_time(calls.last_at)} {calls.last_tool}", f"{calls.errors} {calls.last_error}")
        for name, calls in sorted(shown.agents.items(), key=lambda pair: -pair[1].last_at)
    ]
    refused = [
        f"{count} {_REFUSALS[status]}" for status, count in shown.refusals.items() if count and status in _REFUSALS
    ]
    told = f"<p class=detail>Refused: {escape(', '.join(refused))}.</p>" if refused else ""
    if not rows:
        return f"<h2>Agents</h2><p>None has called since the server started.</p>{told}"
    return f"<h2>Agents</h2>{_table('Agents', ('Agent', 'Calls', 'Last', 'Errors'), map(_cells, rows))}{told}"


def _tokens(shown: Shown) -> str:
    rows = []
    for token in sorted((*shown.tokens, *shown.fixed), key=lambda one: one.grant.name):
        name = token.grant.name
        ends = "never" if token.expires_at is None else _time(token.expires_at)
        button = "set by IB_MCP_TOKEN"
        if token in shown.tokens:
            button = shown.form.button("revoke-token", name, "Revoke", f"Revoke {name}") if shown.form else ""
        rows.append(f"{_cells((name, *_granted(token.grant), ends))}<td>{button}</td>")
    if not rows:
        return ""
    return f"<h2>Named tokens</h2>{_table('Tokens', ('Name', 'May', 'Accounts', 'Ends', 'End it'), rows)}"


def _grants(grants: Sequence[tuple[Consent, float, float]], form: Form | None) -> str:
    rows = []
    for grant, since, used in grants:
        button = "" if form is None else form.button("revoke", grant.id, "Revoke", f"Revoke {grant.name}")
        accounts = None if grant.accounts is None else frozenset(grant.accounts)
        limits = _granted(Grant(grant.name, frozenset(grant.scopes), accounts))
        rows.append(f"{_cells((grant.name, *limits, _time(since), _time(used)))}<td>{button}</td>")
    head = ("Agent", "May", "Accounts", "Since", "Renewed", "End it")
    return f"<h2>Let in by OAuth</h2>{_table('Grants', head, rows) if rows else '<p>None.</p>'}"


def _granted(grant: Grant) -> tuple[str, str]:
    scopes = " ".join(sorted(scope.removeprefix("ibkr:") for scope in grant.scopes))
    return scopes, " ".join(sorted(grant.accounts or ())) or "all"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>' for name, value in rows)}</dl>"


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in row)


def _table(name: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """``rows``: the cells of each, as HTML."""
    top = "".join(f"<th scope=col>{escape(each)}</th>" for each in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    scroll = f"<div class=scroll role=region aria-label={name} tabindex=0>"
    return f"{scroll}<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "unknown"
