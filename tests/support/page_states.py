"""Every state of the pages that the MCP server shows to people, one after the other.

``PYTHONPATH=tests python -m support.page_states docs/images`` makes the pictures of the docs.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
from PIL import Image
from playwright.async_api import Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from support import oauth, programs
from support.api_server import free_port

_AXE = "axe-core@4.14.0"
Scheme = Literal["dark", "light"]
_HINT = "run 'kubectl -n ib-mcp port-forward svc/ib-ib-mcp-gateway 5000' and open http://localhost:5000"
_ACCOUNTS = [{"accountId": "U1000001", "accountAlias": "Household"}, {"accountId": "U1000002", "displayName": "Robin"}]


class _Guard:
    """Says what the state wants."""

    def __init__(self) -> None:
        now = time.time()
        self.told: dict[str, Any] = {
            "schema": 1,
            "state": "authenticated",
            "observed_at": now,
            "state_since": now - 3 * 3600,
            "mode": "live",
            "login": {"deadline": now + 6 * 3600, "url_hint": _HINT},
            "gateway": {"build": "10.39.1e"},
            "traffic": {"sent": 1204, "waiting": 0, "answers": {"upstream": 1100, "cache": 4023, "batch": 310}},
        }
        self.app = Starlette(routes=[Route("/v1/api/portfolio/accounts", self._list), Route("/status", self._status)])

    async def _list(self, request: Request) -> JSONResponse:
        return JSONResponse(_ACCOUNTS)

    async def _status(self, request: Request) -> JSONResponse:
        return JSONResponse(self.told, 200 if self.told else 502)


@asynccontextmanager
async def browser(scheme: Scheme, width: int) -> AsyncIterator[Page]:
    """programs.Unavailable where there is none."""
    program = programs.chromium()
    async with async_playwright() as playwright:
        # Its sandbox does not work for root, which containers and CI machines are.
        started = await playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        yield await started.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
        await started.close()


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong. programs.Unavailable where it cannot be had."""
    script = programs.npm_package(_AXE) / "node_modules/axe-core/axe.min.js"
    # Past the page's own policy, which lets no script run.
    await page.evaluate(script.read_text("utf-8"))
    found: list[str] = await page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    return found


async def is_too_wide(page: Page) -> bool:
    """Whether it has to be scrolled sideways."""
    wide: bool = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


async def asked(origin: str, back: str) -> str:
    """Where an agent that has just registered sends the browser."""
    async with httpx.AsyncClient(base_url=origin) as web:
        registered = await web.post("/register", json={"client_name": "Claude", "redirect_uris": [back]})
    question = {
        "client_id": registered.json()["client_id"],
        "redirect_uri": back,
        "response_type": "code",
        "code_challenge": "x" * 43,
        "state": "s",
        "scope": "ibkr:read ibkr:write",
    }
    return f"{origin}/authorize?{urlencode(question)}"


async def states(page: Page, folder: Path) -> AsyncIterator[str]:
    """The name of each state, while ``page`` shows it. ``folder``: for files, empty."""
    (tokens := folder / "tokens").mkdir()
    (tokens / "laptop").write_text("token-of-the-laptop ibkr:read accounts=U1000001 expires=2027-06-30\n")
    guard = _Guard()
    issuer = f"http://127.0.0.1:{free_port()}"
    ways = {"issuer": issuer, "issuer_users": "robin", "sign_in_client": "ib-mcp", "tokens_dir": tokens}
    passphrase = page.get_by_label("Passphrase of the owner")
    sign_in = page.get_by_role("button", name="Sign in", exact=True)
    async with oauth.serving(folder / "oauth.db", guard=guard.app, allow_writes=True, **ways) as origin:
        await page.goto(await asked(origin, "https://claude.ai/api/mcp/auth_callback"))
        yield "consent-sign-in"
        await passphrase.fill("something else")
        await sign_in.click()
        await page.get_by_role("alert").wait_for()
        yield "consent-wrong-passphrase"
        await page.get_by_role("button", name="Sign in at").click()
        await page.get_by_role("alert").wait_for()
        yield "consent-provider-down"
        await passphrase.fill(oauth.PASSPHRASE)
        await sign_in.click()
        await page.get_by_label("U1000002").wait_for()
        yield "consent"
        await page.get_by_label("U1000001").uncheck()
        await page.get_by_label("U1000002").uncheck()
        await page.get_by_role("button", name="Allow").click()
        await page.get_by_role("alert").wait_for()
        yield "consent-no-account"
        await page.goto(f"{origin}/consent?request=gone")
        yield "consent-over"
        person = oauth.Person(account=["U1000002"])
        async with person.web(origin) as web:
            await web.post(f"{origin}/mcp", json={})
        async for name in _status(page, guard, origin, issuer):
            yield name


async def _status(page: Page, guard: _Guard, origin: str, issuer: str) -> AsyncIterator[str]:
    async with httpx.AsyncClient(base_url=origin) as web:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_accounts", "arguments": {}}}
        headers = {"authorization": "Bearer token-of-the-laptop", "accept": "application/json, text/event-stream"}
        await web.post("/mcp", json=call, headers=headers | {"mcp-protocol-version": "2025-11-25"})
        await web.post("/mcp", json=call)
    await page.goto(origin)
    heading = page.get_by_role("heading", name="Session")
    await heading.wait_for()
    yield "status"
    guard.told |= {"state": "login_required", "mode": "unknown"}
    guard.told["login"] = {"url_hint": _HINT}
    await page.reload()
    await page.get_by_text("Sign-in needed").wait_for()
    yield "status-login-required"
    guard.told = {}
    await page.reload()
    await page.get_by_role("alert").wait_for()
    yield "status-no-guard"
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("Passphrase of the owner").wait_for()
    yield "sign-in"
    for _ in range(6):
        await page.get_by_label("Passphrase of the owner").fill("something else")
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.get_by_role("alert").wait_for()
    yield "sign-in-too-often"


# What the docs show of each, in light at this width or dark on a phone.
_SHOWN: dict[str, tuple[Scheme, int]] = {
    "consent-sign-in": ("light", 720),
    "consent-wrong-passphrase": ("light", 720),
    "consent-provider-down": ("light", 720),
    "consent": ("light", 720),
    "consent-no-account": ("dark", 390),
    "consent-over": ("light", 720),
    "status": ("light", 1040),
    "status-login-required": ("dark", 390),
    "status-no-guard": ("light", 1040),
    "sign-in": ("light", 720),
    "sign-in-too-often": ("dark", 390),
}


async def _pictures(folder: Path) -> None:
    for scheme, width in set(_SHOWN.values()):
        with tempfile.TemporaryDirectory() as scratch:
            async with browser(scheme, width) as page:
                async for name in states(page, Path(scratch)):
                    if _SHOWN[name] != (scheme, width):
                        continue
                    height = await page.evaluate("document.documentElement.scrollHeight")
                    await page.set_viewport_size({"width": width, "height": max(300, height)})
                    taken = Image.open(io.BytesIO(await page.screenshot()))
                    taken.convert("RGB").quantize(64).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    asyncio.run(_pictures(Path(sys.argv[1])))
