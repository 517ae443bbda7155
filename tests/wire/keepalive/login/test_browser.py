"""The login pages in a real browser, against the simulator."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, Request, async_playwright, expect

from ib_keepalive.app import Keepalive
from ib_keepalive.login import pages
from ib_keepalive.settings import KeepaliveSettings
from ib_simulator.app import Simulator
from ibkr.wording import WORDS
from support import programs
from support.page_states import Scheme, browser, is_too_wide, violations
from support.serve import serve

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 20_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")


@dataclass
class Visit:
    """A person at the login port. ``complaints`` are the browser's errors, ``elsewhere`` what it asked other hosts."""

    page: Page
    simulator: Simulator
    keepalive: Keepalive
    complaints: list[str]
    elsewhere: list[str]


@asynccontextmanager
async def visit(simulator: Simulator, *, javascript: bool = True) -> AsyncIterator[Visit]:
    async with serve(simulator.app) as gateway_url:
        keepalive = Keepalive(KeepaliveSettings(gateway_url=gateway_url, token="token-of-tests"))
        async with keepalive, serve(keepalive.login) as login_url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            page = await browser.new_page(java_script_enabled=javascript)
            page.set_default_timeout(PATIENCE_MS)
            here = login_url.replace("127.0.0.1", "localhost")
            complaints: list[str] = []
            elsewhere: list[str] = []

            def note(request: Request) -> None:
                if not request.url.startswith(here):
                    elsewhere.append(request.url)

            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", note)
            await page.goto(here)
            yield Visit(page, simulator, keepalive, complaints, elsewhere)
            await browser.close()


async def test_person_signs_in_and_the_landing_page_turns_green_by_itself() -> None:
    async with visit(Simulator(second_step="wait")) as seen:
        page = seen.page
        await expect(page.get_by_role("heading", name="Sign-in needed")).to_be_visible(timeout=PATIENCE_MS)
        await page.get_by_role("link", name="Sign in at IBKR").click()
        await page.get_by_label("Username").fill("robin-paper")
        await page.get_by_label("Password").fill("paper")
        await page.get_by_role("button", name="Login").click()
        await expect(page.get_by_text("Approve on your phone")).to_be_visible(timeout=PATIENCE_MS)
        seen.simulator.logins.decide(True)
        await expect(page.get_by_role("heading", name="Connected")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.get_by_text("Paper account")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page).to_have_title("Connected · IBKR session")
        assert await page.context.cookies() == []
        assert seen.complaints == []
        assert seen.elsewhere == []


async def test_page_follows_the_session_while_it_is_open() -> None:
    async with visit(Simulator(signed_in="paper")) as seen:
        await expect(seen.page.get_by_role("heading", name="Connected")).to_be_visible(timeout=PATIENCE_MS)
        await expect(seen.page.get_by_role("link", name="Sign in at IBKR")).to_be_hidden()
        seen.simulator.session.end("signed out")
        await expect(seen.page.get_by_role("heading", name="Sign-in needed")).to_be_visible(timeout=PATIENCE_MS)
        await expect(seen.page.get_by_role("link", name="Sign in at IBKR")).to_be_visible()
        assert seen.complaints == []


async def test_page_works_without_scripts() -> None:
    async with visit(Simulator(), javascript=False) as seen:
        await expect(seen.page.get_by_role("heading", name="Sign-in needed")).to_be_visible(timeout=PATIENCE_MS)
        await seen.page.get_by_role("link", name="Sign in at IBKR").click()
        await expect(seen.page.get_by_label("Username")).to_be_visible()


async def test_page_tells_when_its_server_is_gone() -> None:
    async with visit(Simulator(signed_in="paper")) as seen:
        await expect(seen.page.get_by_role("heading", name="Connected")).to_be_visible(timeout=PATIENCE_MS)

        async def refuse(route: object) -> None:
            await route.abort()  # type: ignore[attr-defined]

        await seen.page.route("**/login-status", refuse)
        await expect(seen.page.get_by_role("heading", name="No connection")).to_be_visible(timeout=PATIENCE_MS)


async def test_every_state_has_contrast_and_one_heading_in_both_colour_schemes() -> None:
    async with visit(Simulator(signed_in="paper")) as seen:
        await expect(seen.page.get_by_role("heading", name="Connected")).to_be_visible(timeout=PATIENCE_MS)
        for scheme in ("light", "dark"):
            await seen.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for tone in ("good", "wait", "act", "bad"):
                ratios = await seen.page.evaluate(_CONTRAST, tone)
                assert all(ratio >= 4.5 for ratio in ratios), (scheme, tone, ratios)
        assert await seen.page.get_by_role("heading").count() == 1


# Contrast of text and background by the formula of WCAG 2, for the page's texts and its button.
_CONTRAST = """tone => {
  document.querySelector("main").dataset.tone = tone;
  document.querySelectorAll("[hidden]").forEach(each => { each.hidden = false; });
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3)
      .map(part => part / 255).map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = element => {
    const own = getComputedStyle(element).backgroundColor;
    return own === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : own;
  };
  return ["#title", "#advice", "#detail", "#sign-in", "dt", "dd", "footer", ".product", "#mode"].map(name => {
    const element = document.querySelector(name);
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    return (pair[0] + .05) / (pair[1] + .05);
  });
}"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 1040), ("dark", 360)])
async def test_everyone_can_read_the_landing_page_in_every_state(scheme: Scheme, width: int) -> None:
    async with browser(scheme, width) as page:
        for words in WORDS.values():
            # Its script would find no server here.
            shown = re.sub(r"<script>.*?</script>", "", pages.landing(words), flags=re.DOTALL)
            await page.set_content(shown)
            try:
                assert await violations(page) == [], words.title
            except programs.Unavailable as reason:
                pytest.skip(str(reason))
            assert not await is_too_wide(page), words.title
        await page.set_content(pages.problem("There is nothing here", "This port serves IBKR's sign-in pages only."))
        assert await violations(page) == []
