"""Sign-ins by number: each one is noticed, and nothing learnt before it is told afterwards. Virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_simulator.app import Simulator
from ibkr.session import Glance
from support.keepalive import OPEN, FakeGateway, Kept, keeping, settings
from support.serve import InProcess
from support.simulated import simulated

pytestmark = pytest.mark.looptime
LIVE: dict[str, Any] = {"accounts": ["U7654321"], "isPaper": False}


async def status(kept: Kept) -> dict[str, Any]:
    found: dict[str, Any] = (await kept.ask.get("/status")).json()
    return found


async def test_a_sign_in_is_numbered_once_and_a_loss_of_the_brokerage_session_is_none() -> None:
    async with keeping() as kept:
        await asyncio.sleep(100)
        first = (await status(kept))["sign_in"]
        assert first["number"] > 0
        for says in ({**OPEN, "authenticated": False}, "silence", 500, 429, OPEN):
            kept.gateway.says = says
            await asyncio.sleep(200)
        kept.gateway.says = OPEN
        await asyncio.sleep(400)
        assert kept.state == "authenticated"
        assert (await status(kept))["sign_in"] == first
        kept.gateway.says = 401
        await asyncio.sleep(60)
        kept.gateway.says = OPEN
        await asyncio.sleep(60)
        assert (await status(kept))["sign_in"]["number"] == first["number"] + 1


@pytest.mark.parametrize("has_record", [True, False])
async def test_numbers_do_not_come_back_after_a_restart(has_record: bool, tmp_path: Path) -> None:
    numbers: list[int] = []
    loop = asyncio.get_running_loop()
    record = tmp_path / "requests.json" if has_record else None
    for _ in range(4):
        async with keeping(record_file=record, wall=lambda: 1795539600.0 + loop.time()) as kept:
            await asyncio.sleep(60)
            numbers.append((await status(kept))["sign_in"]["number"])
    assert numbers == sorted(set(numbers))


async def test_other_accounts_are_another_sign_in_and_mode_is_that_of_the_new_one() -> None:
    async with keeping() as kept:
        await asyncio.sleep(100)
        before = await status(kept)
        assert before["mode"] == "paper"
        kept.gateway.accounts = LIVE
        kept.gateway.says = {**OPEN, "authenticated": False}
        await asyncio.sleep(20)
        kept.gateway.says = OPEN
        await asyncio.sleep(20)
        after = await status(kept)
        assert after["mode"] == "live"
        assert after["sign_in"]["number"] == before["sign_in"]["number"] + 1


async def test_accounts_are_asked_again_every_hour() -> None:
    async with keeping() as kept:
        await asyncio.sleep(100)
        kept.gateway.accounts = LIVE
        await asyncio.sleep(3600)
        assert (await status(kept))["mode"] == "live"


async def test_another_user_in_a_tickle_is_another_sign_in() -> None:
    class Changing(FakeGateway):
        user = 1

        def _choose(self, path: str) -> Any:
            found = super()._choose(path)
            return {**found, "userId": self.user} if path.endswith("/tickle") and isinstance(found, dict) else found

    gateway = Changing()
    async with keeping(gateway) as kept:
        await asyncio.sleep(200)
        before = (await status(kept))["sign_in"]["number"]
        gateway.user, gateway.accounts = 2, LIVE
        await asyncio.sleep(62)
        after = await status(kept)
        assert (after["sign_in"]["number"], after["mode"]) == (before + 1, "live")


@pytest.mark.parametrize("seed", range(5))
async def test_signing_in_over_an_open_session_is_noticed_within_five_seconds(seed: int) -> None:
    """From paper to live as a person does it: the login page, without signing out before."""
    simulator = Simulator(seed=seed, signed_in="paper", second_step="none")
    keepalive = Keepalive(settings(), transport=InProcess(simulator.app), wall=simulator.clock.now)
    async with (
        keepalive,
        httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.login), base_url="http://localhost:5443") as owner,
    ):
        await asyncio.sleep(97 + seed)
        before = keepalive.keeper.status()
        assert before.mode == "paper"
        await owner.post("/sso/Login", data={"user_name": "robin-live", "password": "live"})
        at_once = keepalive.keeper.status()
        assert at_once.sign_in.number > before.sign_in.number
        assert at_once.mode == "unknown"
        await owner.get("/sso/Dispatcher")
        await asyncio.sleep(5)
        after = keepalive.keeper.status()
        assert (after.state, after.mode) == ("authenticated", "live")


@pytest.mark.parametrize("path", ["/portfolio/accounts", "/iserver/accounts"])
async def test_a_list_of_other_accounts_is_another_sign_in_at_once_and_answered_as_such(path: str) -> None:
    """Somebody signed in past the login page; the next agent that asks for the accounts brings it to light."""
    simulator = simulated()
    keepalive = Keepalive(settings(), transport=InProcess(simulator.app), wall=simulator.clock.now)
    async with (
        keepalive,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(keepalive.data),
            base_url="http://guard.test/v1/api",
            headers={"Authorization": "Bearer token-of-tests"},
        ) as client,
    ):
        # After a tickle and a look, so that neither is what notices it.
        await asyncio.sleep(77)
        before = await client.get(path)
        await asyncio.sleep(61)
        simulator.sign_in("live")
        # IBKR's program opens the session by itself meanwhile.
        await asyncio.sleep(4)
        assert keepalive.keeper.status().mode == "paper"
        after = await client.get(path)
        assert "U7420002" in after.text
        assert int(after.headers["ib-sign-in"]) == int(before.headers["ib-sign-in"]) + 1
        await asyncio.sleep(1)
        assert keepalive.keeper.status().mode == "live"


# Of IBKR in the simulator: from an opening to loaded accounts. The keeper looks twice a second.
LOADS_S, LOOKS_S = 1.0, 1.0


@pytest.mark.parametrize("opening_s", [0.0, 0.3, 1.2, 2.9])
async def test_the_session_is_open_within_a_second_of_when_ibkr_has_it(opening_s: float) -> None:
    simulator = Simulator(seed=3, second_step="none", opens_brokerage=False)
    keepalive = Keepalive(
        settings(brokerage_login="keeper"), transport=InProcess(simulator.app), wall=simulator.clock.now
    )
    async with (
        keepalive,
        httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.login), base_url="http://localhost:5443") as owner,
        httpx.AsyncClient(transport=httpx.ASGITransport(simulator.control), base_url="http://control") as control,
    ):
        (await control.post("/control/timing", json={"opening": opening_s})).raise_for_status()
        await asyncio.sleep(10)
        await owner.post("/sso/Login", data={"user_name": "robin-paper", "password": "paper"})
        await owner.get("/sso/Dispatcher")
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(opening_s + LOADS_S + LOOKS_S):
            while keepalive.keeper.status().state != "authenticated":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() - began >= opening_s + LOADS_S


async def test_what_the_guard_glances_at_is_what_the_status_says() -> None:
    simulator = Simulator(seed=3, second_step="none")
    keepalive = Keepalive(settings(), transport=InProcess(simulator.app), wall=simulator.clock.now)
    states = set()
    async with (
        keepalive,
        httpx.AsyncClient(transport=httpx.ASGITransport(keepalive.login), base_url="http://localhost:5443") as owner,
    ):
        for path in (None, "/sso/Login", "/sso/Dispatcher", None):
            if path == "/sso/Login":
                await owner.post(path, data={"user_name": "robin-paper", "password": "paper"})
            elif path:
                await owner.get(path)
            for _ in range(40):
                await asyncio.sleep(0.25)
                seen = keepalive.keeper.tracker.glance()
                assert _in_tenths(seen) == _in_tenths(Glance.at(keepalive.keeper.status()))
                states.add((seen.state.value, seen.mode, seen.is_open))
    assert {("login_required", "unknown", False), ("authenticated", "paper", True)} <= states


def _in_tenths(seen: Glance) -> list[Any]:
    return [round(each, 1) if isinstance(each, float) else each for each in seen]
