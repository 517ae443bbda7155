"""Signing in through the keepalive's login port: as plain requests, and with a real browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from playwright.async_api import Page, async_playwright

from gateway.rig import LOOK_SECONDS, Rig
from ib_simulator.session.users import USERS
from ib_simulator.world.accounts import UserKey
from support import programs

OWNER = USERS["paper"]
SIGN_IN_SECONDS = 30


async def signed_in(rig: Rig) -> None:
    """Have the paper user's session open, by a sign-in where there is none."""
    if rig.status()["state"] != "authenticated":
        await sign_in(rig)


async def signed_out(rig: Rig) -> None:
    """Have nobody signed in."""
    rig.broker.do("sign-out")
    await rig.reaches("login_required")


async def sign_in(rig: Rig) -> None:
    """Sign in as the paper user and wait for the open session."""
    async with httpx.AsyncClient(
        base_url=rig.running.login_url, follow_redirects=True, timeout=SIGN_IN_SECONDS
    ) as browser:
        second_step = await give_password(browser)
        rig.broker.do("approve")
        await finish(browser, second_step)
        assert not browser.cookies, "the browser was given a cookie of the session"
    await rig.reaches("authenticated")


async def give_password(browser: httpx.AsyncClient, user: UserKey = "paper") -> str:
    """Fill the broker's form as a page does; the address of the page that waits for the phone."""
    form = await browser.get("/sso/Login?forwardTo=22&RL=1&ip2loc=US")
    assert 'name="user_name"' in form.text
    origin = str(browser.base_url).rstrip("/")
    page = await browser.post(
        "/sso/Login",
        data={"user_name": USERS[user].name, "password": USERS[user].password},
        headers={"Origin": origin, "Referer": f"{origin}/sso/Login", "Sec-Fetch-Site": "same-origin"},
    )
    found = re.search(r'href="(/sso/SecondStep\?id=[^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A page of the machine's own Chromium, which is not downloaded for this: skips where there is none."""
    try:
        program = programs.chromium()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with async_playwright() as playwright:
        # Its sandbox does not work for root, which containers and CI machines are.
        browser = await playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = await browser.new_page()
        page.set_default_timeout(SIGN_IN_SECONDS * 1000)
        yield page
        await browser.close()


async def finish(browser: httpx.AsyncClient, second_step: str) -> None:
    """Look at the waiting page until it leads back to the landing page."""
    async with asyncio.timeout(SIGN_IN_SECONDS):
        while "signed-in" not in str((page := await browser.get(second_step)).url):
            assert "Approve on your phone" in page.text, page.text
            await asyncio.sleep(LOOK_SECONDS)
