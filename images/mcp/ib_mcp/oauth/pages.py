"""The pages that a person sees; no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

from ib_service.http import page
from ibkr.wording import Tone


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
    """A page. ``main`` is HTML; ``script`` is the only one that runs; ``leads_elsewhere`` as in
    ``page.headers``.
    """
    text = page.document(title, page.heading(title) + main, tone=tone, script=script, is_wide=is_wide)
    return HTMLResponse(text, status, {**page.headers(script, leads_elsewhere=leads_elsewhere), **(headers or {})})


def refusal(said: str, status: int = 400) -> HTMLResponse:
    advice = "<p class=detail>Go back to your agent and connect again.</p>"
    return response("This cannot go on", f"<p>{escape(said)}</p>{advice}", tone="bad", status=status)


def alert(text: str) -> str:
    """What is wrong, read out at once; nothing where nothing is."""
    return f"<p role=alert>{escape(text)}</p>" if text else ""
