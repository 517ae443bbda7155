"""Signing in at IBKR's real gateway program, through the keepalive's login port."""

from __future__ import annotations

import httpx

from gateway.browser import OWNER, chromium, finish, give_password, signed_in, signed_out
from gateway.rig import Rig, until
from ib_simulator.world.accounts import UserKey


async def test_an_agent_is_sent_to_the_login_page_while_nobody_is_signed_in(rig: Rig) -> None:
    await signed_out(rig)
    refused = await rig.call("list_accounts")
    assert refused["error"]["code"] == "login_required"
    assert refused["error"]["login"] == rig.running.login_url


async def test_the_session_opens_once_the_second_step_is_approved(rig: Rig) -> None:
    await signed_out(rig)
    async with httpx.AsyncClient(base_url=rig.running.login_url, follow_redirects=True) as browser:
        second_step = await give_password(browser)
        assert "Approve on your phone" in (await browser.get(second_step)).text
        assert rig.status()["state"] == "login_required"

        rig.broker.do("approve")
        await finish(browser, second_step)
        assert not browser.cookies, "the browser was given a cookie of the session"

    status = await rig.reaches("authenticated")
    assert status["auth"]["authenticated"]
    accounts = await rig.call("list_accounts")
    assert accounts["accounts"]


async def test_signing_in_as_another_user_over_an_open_session_is_seen_within_five_seconds(rig: Rig) -> None:
    """From paper to live without signing out, and back: never is a mode told that is another user's."""
    await signed_in(rig)
    await until(lambda: rig.status()["mode"] == "paper")
    before = rig.status()["sign_in"]["number"]
    users: tuple[tuple[UserKey, str], ...] = (("live", "U7420002"), ("paper", "DU7420001"))
    for mode, account in users:
        async with httpx.AsyncClient(base_url=rig.running.login_url, follow_redirects=True) as browser:
            second_step = await give_password(browser, mode)
            rig.broker.do("approve")
            await finish(browser, second_step)
        told = [rig.status()["mode"]]

        def is_seen(wanted: str = mode, modes: list[str] = told) -> bool:
            status = rig.status()
            modes.append(status["mode"])
            return (status["mode"], status["state"]) == (wanted, "authenticated")

        await until(is_seen, 5)
        assert set(told) <= {"unknown", mode}
        listed = str(await rig.call("list_accounts"))
        assert account in listed
        assert ("'DU" in listed) == (mode == "paper")
    assert rig.status()["sign_in"]["number"] >= before + 2


async def test_a_person_signs_in_with_a_browser_and_sees_the_page_turn_green(rig: Rig) -> None:
    await signed_out(rig)
    async with chromium() as page:
        strangers: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: strangers.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(error.message))

        await page.goto(rig.running.login_url)
        await page.get_by_role("link", name="Sign in at IBKR").click()
        await page.get_by_label("Username").fill(OWNER.name)
        await page.get_by_label("Password").fill(OWNER.password)
        await page.get_by_role("button", name="Login").click()
        await page.get_by_role("heading", name="Approve on your phone").wait_for()
        rig.broker.do("approve")

        # Nothing more is clicked: the waiting page goes on by itself, and the landing page turns green by itself.
        await page.locator("main[data-tone=good]").wait_for()
        await page.get_by_text("Paper account").wait_for()
        assert await page.context.cookies() == []
        assert [url for url in strangers if not url.startswith(rig.running.login_url)] == []
        assert complaints == []
    assert rig.status()["state"] == "authenticated"
