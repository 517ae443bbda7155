"""What becomes of a login when programs and connections around the real gateway fail. One story, told in order."""

from __future__ import annotations

import asyncio
import time

import httpx

from gateway.browser import sign_in, signed_in
from gateway.rig import Rig, until

SLOTS = 5
POSITIONS = "/v1/api/portfolio/*/positions/*"
CHAIN = "/v1/api/iserver/auth/ssodh/init"


async def test_stuck_requests_of_agents_leave_a_slot_for_the_keeper(rig: Rig) -> None:
    await signed_in(rig)
    account = await _account(rig)
    with rig.broker.fault("hang", path=POSITIONS):
        asked = time.time()
        async with _api(rig, deadline_s=2) as api:
            pages = (api.get(f"/portfolio/{account}/positions/{page}") for page in range(2 * SLOTS))
            told = {answer.json()["error"]["code"] for answer in await asyncio.gather(*pages)}
            assert "upstream_timeout" in told
            assert told <= {"upstream_timeout", "pacing_limited"}
            assert rig.broker.state()["held"] < SLOTS

        await until(lambda: rig.status()["observed_at"] > asked)
        assert rig.status()["state"] == "authenticated"
    assert "error" not in await rig.call("get_account_positions", account=account)


async def test_a_gateway_without_free_slots_is_called_hung_and_recovers_by_itself(rig: Rig) -> None:
    signed_in_once = len(rig.broker.requests("/sso/Dispatcher"))
    async with httpx.AsyncClient(base_url=rig.gateway.url, timeout=90) as raw:
        with rig.broker.fault("hang", path=POSITIONS):
            stuck = [asyncio.create_task(raw.get(f"/v1/api/portfolio/any/positions/{page}")) for page in range(SLOTS)]
            await until(lambda: rig.broker.state()["held"] == SLOTS)
            status = await rig.reaches("hung")
            assert status["gateway"]["reachable"]
            refused = await rig.call("get_account_balances")
            assert refused["error"]["code"] == "upstream_timeout", refused
        await rig.reaches("authenticated")
        await asyncio.gather(*stuck)
    assert "error" not in await rig.call("get_account_balances")
    assert len(rig.broker.requests("/sso/Dispatcher")) == signed_in_once


async def test_a_login_survives_the_end_of_the_keepalive(rig: Rig) -> None:
    before = len(rig.broker.requests(CHAIN))
    first = rig.part("keepalive")
    assert first is not None
    first.kill()
    await until(lambda: not first.is_running())
    await rig.reaches("authenticated")
    assert "error" not in await rig.call("get_price_snapshot", symbols=["AAPL"])
    assert len(rig.broker.requests(CHAIN)) == before, "the session was opened again though it was open"


async def test_a_gateway_that_ended_comes_back_signed_out(rig: Rig) -> None:
    rig.gateway.kill()
    await rig.reaches("unreachable")
    refused = await rig.call("get_account_balances")
    assert refused["error"]["code"] == "upstream_unreachable"

    rig.gateway.start()
    await rig.reaches("login_required")
    await sign_in(rig)
    assert "error" not in await rig.call("get_account_balances")


async def _account(rig: Rig) -> str:
    return str((await rig.call("list_accounts"))["default"])


def _api(rig: Rig, *, deadline_s: float) -> httpx.AsyncClient:
    """A Web API client at the guard that waits ``deadline_s`` at most."""
    headers = {"Authorization": f"Bearer {rig.running.guard_token}", "ib-deadline-ms": f"{deadline_s * 1000:.0f}"}
    return httpx.AsyncClient(base_url=f"{rig.running.guard_url}/v1/api", headers=headers, timeout=30)
