"""The look of every page that a person sees: one document, nothing from elsewhere, light and dark, on phones too."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files

from ibkr.wording import Tone

STYLE = files(__package__).joinpath("page.css").read_text("utf-8")
ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#2563eb"/></svg>'
_ICON_URL = "data:image/svg+xml;base64," + base64.b64encode(ICON.encode()).decode()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE_DIGEST = _digest(STYLE)


def document(
    title: str, main: str, *, tone: Tone, badge: str = "", head: str = "", script: str = "", is_wide: bool = False
) -> str:
    """The whole page. ``main``, ``badge`` and ``head`` are HTML, ``title`` and ``script`` are not."""
    run = f"<script>{script}</script>\n" if script else ""
    wide = " data-wide" if is_wide else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n{head}\n<title>{escape(title)}</title>\n'
        f'<link rel="icon" href="{_ICON_URL}">\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f'<main data-tone="{tone}"{wide}>\n<header><span class="product">ib-mcp</span>{badge}</header>\n'
        f"{main}\n</main>\n{run}</body>\n</html>\n"
    )


def heading(title: str) -> str:
    """The title within the page, with the light that shows its tone."""
    return f'<h1><span class="light" aria-hidden="true"></span><span id="title">{escape(title)}</span></h1>'


def headers(script: str = "", *, leads_elsewhere: bool = False) -> dict[str, str]:
    """Of a page that runs ``script`` alone.

    ``leads_elsewhere``: whether the answer to its form sends the browser to another site, which ``form-action`` would
    stop.
    """
    rules = [f"default-src 'none'; style-src {_STYLE_DIGEST}; img-src data:; base-uri 'none'; frame-ancestors 'none'"]
    if script:
        rules.append(f"script-src {_digest(script)}; connect-src 'self'")
    if not leads_elsewhere:
        rules.append("form-action 'self'")
    return {
        "Content-Security-Policy": "; ".join(rules),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
