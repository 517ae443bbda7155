"""A brokerage session that is lost while the gateway itself tickles every 30 s. One story, told in order."""

from __future__ import annotations

from gateway.browser import signed_in
from gateway.rig import Rig

TICKLE = "/v1/api/tickle"
LOGOUT = "/v1/api/logout"
OPEN = "/v1/api/iserver/auth/ssodh/init"
TICKLE_SECONDS = 30
LOST = {"session": "0", "iserver": {"authStatus": {"authenticated": False, "competing": False, "connected": True}}}


async def test_a_nightly_reset_is_mended_before_the_gateway_gives_the_login_up(rig: Rig) -> None:
    await signed_in(rig)
    # Directly after the gateway's own tickle the keeper has 30 s; later it may be too late, see below.
    await rig.broker.sees(TICKLE, of_the_gateway=True, seconds=TICKLE_SECONDS + 10)
    opened = len(rig.broker.requests(OPEN, of_the_gateway=False))
    ended = len(rig.broker.requests(LOGOUT))
    rig.broker.do("timing", reset=2)
    rig.broker.do("nightly-reset")

    await rig.reaches("reopening")
    refused = await rig.call("get_price_snapshot", symbols=["AAPL"])
    assert refused["error"]["code"] == "session_reopening"
    status = await rig.reaches("authenticated")
    assert status["reauth"]["last_result"] == "accepted"
    assert len(rig.broker.requests(OPEN, of_the_gateway=False)) == opened + 1
    assert len(rig.broker.requests(LOGOUT)) == ended


async def test_the_gateway_itself_ends_the_login_when_its_tickle_finds_no_session(rig: Rig) -> None:
    await signed_in(rig)
    with rig.broker.fault("answer", path=TICKLE, user_agent="ClientPortalGW/*", status=200, body=LOST, count=1):
        await rig.broker.sees(LOGOUT, of_the_gateway=True, seconds=TICKLE_SECONDS + 10)
    await rig.reaches("login_required")
    refused = await rig.call("list_accounts")
    assert refused["error"]["code"] == "login_required"
    assert refused["error"]["login"] == rig.running.login_url
