"""The login port's own pages: one self-contained document each, without anything from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template

from ib_keepalive.login.paths import SIGN_IN_PAGE, TAKE_OVER
from ib_service.http import page
from ib_service.http.page import ICON
from ibkr.wording import Words

__all__ = ["HEADERS", "ICON", "PLAIN_HEADERS", "landing", "problem"]

_SCRIPT = files(__package__).joinpath("page.js").read_text("utf-8")
_MAIN = Template(files(__package__).joinpath("page.html").read_text("utf-8"))
_MODE = '<span id="mode" class="badge" hidden></span>'

HEADERS = page.headers(_SCRIPT)
PLAIN_HEADERS = page.headers()
"""Of a page without a script."""


def landing(words: Words, *, approvals: str | None = None) -> str:
    """The page at ``/``: ``words`` of the state at hand; its script keeps them true.

    ``approvals``: where orders wait.
    """
    main = _MAIN.substitute(
        heading=page.heading(words.title),
        advice=escape(words.advice),
        link=SIGN_IN_PAGE,
        label="Sign in at IBKR",
        hidden="" if words.offers_sign_in else "hidden",
        take_over=TAKE_OVER,
        take_over_hidden="" if words.offers_take_over else "hidden",
        approvals=_approvals(approvals),
    )
    refresh = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
    title = f"{words.title} · IBKR session"
    return page.document(title, main, tone=words.tone, badge=_MODE, head=refresh, script=_SCRIPT)


def problem(title: str, advice: str, *, link: str = "/", label: str = "Back to the session's state") -> str:
    """A page that says what went wrong and leads back, to the landing page unless told otherwise."""
    main = _MAIN.substitute(
        heading=page.heading(title),
        advice=escape(advice),
        link=link,
        label=escape(label),
        hidden="",
        take_over=TAKE_OVER,
        take_over_hidden="hidden",
        approvals="",
    )
    return page.document(f"{title} · IBKR session", main, tone="bad")


def _approvals(path: str | None) -> str:
    return "" if path is None else f'<p><a href="{path}">Orders to approve</a></p>'
