"""The login port's own pages: one self-contained document each, without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template

from ib_keepalive.login.paths import SIGN_IN_PAGE, TAKE_OVER
from ib_keepalive.login.wording import Words

_STYLE = files(__package__).joinpath("page.css").read_text("utf-8")
_SCRIPT = files(__package__).joinpath("page.js").read_text("utf-8")
_FRAME = Template(files(__package__).joinpath("page.html").read_text("utf-8"))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#2563eb"/></svg>'
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def landing(words: Words) -> str:
    """The page at ``/``: ``words`` of the state at hand; its script keeps them true."""
    return _FRAME.substitute(
        style=_STYLE,
        script=f"<script>{_SCRIPT}</script>",
        refresh='<noscript><meta http-equiv="refresh" content="5"></noscript>',
        tone=words.tone,
        title=escape(words.title),
        advice=escape(words.advice),
        link=SIGN_IN_PAGE,
        label="Sign in at IBKR",
        hidden="" if words.offers_sign_in else "hidden",
        take_over=TAKE_OVER,
        take_over_hidden="" if words.offers_take_over else "hidden",
    )


def problem(title: str, advice: str) -> str:
    """A page that says what went wrong and leads back to the landing page."""
    return _FRAME.substitute(
        style=_STYLE,
        script="",
        refresh="",
        tone="bad",
        title=escape(title),
        advice=escape(advice),
        link="/",
        label="Back to the session's state",
        hidden="",
        take_over=TAKE_OVER,
        take_over_hidden="hidden",
    )
