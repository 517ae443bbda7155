"""Signing in at IBKR's real gateway program, through the keepalive's login port."""

from __future__ import annotations

import httpx

from gateway.browser import finish, give_password
from gateway.rig import Rig


async def test_an_agent_is_sent_to_the_login_page_while_nobody_is_signed_in(rig: Rig) -> None:
    await rig.reaches("login_required")
    refused = await rig.call("list_accounts")
    assert refused["error"]["code"] == "login_required"
    assert refused["error"]["login"] == rig.running.login_url


async def test_the_session_opens_once_the_second_step_is_approved(rig: Rig) -> None:
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
