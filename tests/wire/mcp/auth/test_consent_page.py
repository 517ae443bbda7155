"""The consent page in a real browser: readable by everyone, driven by hand, light and dark, on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Page, async_playwright

from support import oauth, programs

AXE = "axe-core@4.14.0"
CHALLENGE = "x" * 43


@asynccontextmanager
async def browser(scheme: Literal["dark", "light"], width: int) -> AsyncIterator[Page]:
    try:
        program = programs.chromium()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with async_playwright() as playwright:
        # Its sandbox does not work for root, which containers and CI machines are.
        started = await playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = await started.new_page(
            color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=True
        )
        yield page
        await started.close()


async def asked(origin: str, back: str) -> str:
    """Where an agent that has just registered sends the browser."""
    async with httpx.AsyncClient(base_url=origin) as web:
        registered = await web.post("/register", json={"client_name": "Claude", "redirect_uris": [back]})
    question = {
        "client_id": registered.json()["client_id"],
        "redirect_uri": back,
        "response_type": "code",
        "code_challenge": CHALLENGE,
        "state": "s",
        "scope": "ibkr:read ibkr:write",
    }
    return f"{origin}/authorize?{urlencode(question)}"


async def violations(page: Page) -> list[str]:
    script = programs.npm_package(AXE) / "node_modules/axe-core/axe.min.js"
    # Past the page's own policy, which lets no script run.
    await page.evaluate(script.read_text("utf-8"))
    found: list[str] = await page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    return found


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
async def test_the_owner_lets_an_agent_in(tmp_path: Path, scheme: Literal["dark", "light"], width: int) -> None:
    async with oauth.serving(tmp_path / "oauth.db", allow_writes=True) as origin, browser(scheme, width) as page:
        # Somewhere that answers after the way back.
        back = f"{origin}/healthz"
        await page.goto(await asked(origin, back))
        try:
            assert await violations(page) == []
        except programs.Unavailable as reason:
            pytest.skip(str(reason))
        wide = await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert wide, "it has to be scrolled sideways"
        await page.get_by_label("Passphrase of the owner").fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        assert "wrong" in await page.get_by_role("alert").inner_text()
        assert await violations(page) == []
        assert "U1000001" not in await page.content()
        await page.get_by_label("Passphrase of the owner").fill(oauth.PASSPHRASE)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_label("U1000002").uncheck()
        await page.get_by_label("U1000001").uncheck()
        assert await violations(page) == []
        await page.get_by_role("button", name="Allow").click()
        assert "Tick one account" in await page.get_by_role("alert").inner_text()
        await page.get_by_label("U1000002").check()
        await page.get_by_role("button", name="Allow").click()
        await page.wait_for_url("**/healthz?*")
        assert "code=" in page.url
        await page.goto(f"{origin}/consent?request=gone")
        assert await violations(page) == []


async def test_deny_needs_no_passphrase(tmp_path: Path) -> None:
    async with oauth.serving(tmp_path / "oauth.db") as origin, browser("light", 1000) as page:
        await page.goto(await asked(origin, f"{origin}/healthz"))
        await page.get_by_role("button", name="Deny").click()
        await page.wait_for_url("**/healthz?*")
        assert "error=access_denied" in page.url
