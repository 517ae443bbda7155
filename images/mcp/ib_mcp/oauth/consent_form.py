"""What the owner reads and ticks when an agent asks to be let in. HTML, without any decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from starlette.datastructures import FormData

from ib_mcp.auth.scopes import READ, TRADE, WRITE

TITLE = "Let this agent in?"
_WHAT = {
    READ: "Read: accounts, positions, orders, prices",
    WRITE: "Change what IBKR keeps for you: watchlists, alerts",
    TRADE: "Trade: place and cancel orders",
}
_DENY = "<button class=quiet name=answer value=deny>Deny</button>"


@dataclass(frozen=True, slots=True)
class Asked:
    """``published_by``: the host that vouches for the name. ``hidden``: what comes back with the form."""

    name: str | None
    published_by: str | None
    redirect_uri: str
    hidden: Mapping[str, str]
    action: str


@dataclass(frozen=True, slots=True)
class Choice:
    """``listed``: the accounts that were offered; none where the ids had to be typed."""

    scopes: list[str]
    accounts: list[str]
    listed: list[str]

    @property
    def limited_to(self) -> list[str]:
        """None means all, and those that come later too."""
        return [] if set(self.accounts) >= set(self.listed) and self.listed else self.accounts

    @classmethod
    def at_first(cls, asked: Iterable[str], accounts: Mapping[str, str]) -> Choice:
        # Trading is never ticked for the owner.
        return cls([scope for scope in asked if scope != TRADE], list(accounts), list(accounts))

    @classmethod
    def of(cls, form: FormData, offered: Iterable[str]) -> Choice:
        ticked = form.getlist("scope")
        scopes = [scope for scope in offered if scope == READ or scope in ticked]
        listed = str(form.get("listed", "")).split()
        typed = str(form.get("accounts", "")).replace(",", " ").split()
        return cls(scopes, [str(one) for one in form.getlist("account")] if listed else typed, listed)


def before_sign_in(asked: Asked, fields: str) -> str:
    """Who asks, and how to sign in; nothing about the owner."""
    advice = "<p>To decide it, sign in as the owner of this server.</p>"
    return f"{_who(asked)}{_form(asked, f'{advice}{fields}<p>{_DENY}</p>')}"


def form(asked: Asked, choice: Choice, offered: Iterable[str], accounts: Mapping[str, str]) -> str:
    boxes = "".join(_scope(scope, scope in choice.scopes) for scope in offered)
    buttons = f"<p><button class=button name=answer value=allow>Allow</button>{_DENY}</p>"
    body = f"<fieldset><legend>It may</legend>{boxes}</fieldset>{_accounts(choice, accounts)}{buttons}"
    return _who(asked) + _form(asked, body)


def _who(asked: Asked) -> str:
    url = urlsplit(asked.redirect_uri)
    where = url.hostname or f"{url.scheme}:"
    is_own = where in ("localhost", "127.0.0.1", "::1")
    own_machine = " (a program on the machine of your browser)" if is_own else ""
    vouched = f"<p class=detail>as {escape(asked.published_by)} publishes it</p>" if asked.published_by else ""
    return f"""
<p>An agent that calls itself</p><p class=named>{escape(asked.name or "(no name)")}</p>{vouched}
<p>wants to use your IBKR accounts through this server. Your answer is sent to</p>
<p class=named>{escape(where)}</p><p class=detail>{escape(asked.redirect_uri[:300])}{own_machine}</p>
<p>If you did not just start this in your agent, deny it: anyone can choose the name.</p>"""


def _form(asked: Asked, body: str) -> str:
    hidden = "".join(
        f'<input type=hidden name="{name}" value="{escape(value)}">' for name, value in asked.hidden.items()
    )
    return f'<form method=post action="{escape(asked.action)}">{hidden}{body}</form>'


def _scope(scope: str, is_ticked: bool) -> str:
    state = " checked disabled" if scope == READ else " checked" if is_ticked else ""
    return f'<label><input type=checkbox name=scope value="{scope}"{state}>{escape(_WHAT[scope])}</label>'


def _accounts(choice: Choice, accounts: Mapping[str, str]) -> str:
    if not accounts:
        return f"""<label>Only these accounts <small>(ids separated by commas; empty: all)</small>
<input type=text name=accounts autocomplete=off value="{escape(", ".join(choice.accounts))}"></label>"""
    boxes = "".join(
        f'<label><input type=checkbox name=account value="{escape(account)}"'
        f"{' checked' if account in choice.accounts else ''}>{escape(account)}{_known_as(name)}</label>"
        for account, name in accounts.items()
    )
    note = ""
    if len(accounts) > 1:
        note = "<p class=detail>With all of them ticked, it sees accounts that you open later too.</p>"
    listed = f'<input type=hidden name=listed value="{escape(" ".join(accounts))}">'
    return f"<fieldset><legend>With these accounts</legend>{boxes}{note}</fieldset>{listed}"


def _known_as(name: str) -> str:
    return f" <small>{escape(name)}</small>" if name else ""
