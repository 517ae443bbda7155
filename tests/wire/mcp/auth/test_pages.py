"""The pages of the MCP server in a real browser: readable by everyone, driven by hand, light and dark, on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import oauth, programs
from support.page_states import Scheme, asked, browser, is_too_wide, states, violations


@pytest.fixture(autouse=True)
def _needs_chromium() -> None:
    try:
        programs.chromium()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1040), ("dark", 360)])
async def test_everyone_can_read_every_state(tmp_path: Path, scheme: Scheme, width: int) -> None:
    seen = []
    async with browser(scheme, width) as page:
        async for name in states(page, tmp_path):
            try:
                assert await violations(page) == [], name
            except programs.Unavailable as reason:
                pytest.skip(str(reason))
            assert not await is_too_wide(page), name
            seen.append(name)
    assert len(seen) == 11


async def test_the_owner_lets_an_agent_in(tmp_path: Path) -> None:
    async with oauth.serving(tmp_path / "oauth.db", allow_writes=True) as origin, browser("light", 720) as page:
        # Somewhere that answers after the way back.
        await page.goto(await asked(origin, f"{origin}/healthz"))
        assert "U1000001" not in await page.content()
        await page.get_by_label("Passphrase of the owner").fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        assert "wrong" in await page.get_by_role("alert").inner_text()
        await page.get_by_label("Passphrase of the owner").fill(oauth.PASSPHRASE)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_label("U1000001").uncheck()
        await page.get_by_role("button", name="Allow").click()
        await page.wait_for_url("**/healthz?*")
        assert "code=" in page.url


async def test_deny_needs_no_passphrase(tmp_path: Path) -> None:
    async with oauth.serving(tmp_path / "oauth.db") as origin, browser("light", 1000) as page:
        await page.goto(await asked(origin, f"{origin}/healthz"))
        await page.get_by_role("button", name="Deny").click()
        await page.wait_for_url("**/healthz?*")
        assert "error=access_denied" in page.url
