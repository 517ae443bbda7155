"""When the keeper asks the gateway, and when it leaves it alone, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import httpx
import pytest

from support.keepalive import LOST, OPEN, FakeGateway, keeping

pytestmark = pytest.mark.looptime


async def test_too_many_requests_are_no_sign_of_anything_and_are_answered_with_patience() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = httpx.Response(429, headers={"retry-after": "600"}), []
        await asyncio.sleep(340)
        assert kept.state == "authenticated"
        assert len(kept.gateway.calls) <= 2
        assert (await kept.ask.get("/status")).json()["age_seconds"] > 300


async def test_a_session_of_which_nothing_was_heard_for_six_minutes_is_not_called_open() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = 429, []
        await asyncio.sleep(3 * 3600)
        assert kept.state == "starting"
        assert kept.gateway.times("/auth/status") == [90.0]
        assert len(kept.gateway.times("/tickle")) <= 61
        kept.gateway.says = OPEN
        await asyncio.sleep(300)
        assert kept.state == "authenticated"


async def test_slow_answers_keep_the_session() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.delay_s, kept.gateway.calls[:] = 6, []
        states = set()
        for _ in range(360):
            await asyncio.sleep(5)
            states.add(kept.state)
        assert states == {"authenticated"}
        tickles = kept.gateway.times("/tickle")
        assert all(after - before < 120 for before, after in pairwise([90.0, *tickles, 1890.0]))


async def test_a_gateway_without_answers_is_tickled_on() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = "silence", []
        await asyncio.sleep(600)
        assert kept.state == "hung"
        # Not more often: those without an answer wait in the gateway and go out together, and IBKR takes one a second.
        tickles = kept.gateway.times("/tickle")
        assert all(200 < after - before < 360 for before, after in pairwise(tickles))
        assert tickles[-1] > 690 - 360


async def test_after_a_hang_the_session_is_tickled_at_once_again() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says = "silence"
        await asyncio.sleep(100)
        kept.gateway.says, kept.gateway.calls[:] = OPEN, []
        await asyncio.sleep(70)
        assert kept.state == "authenticated"
        assert len(kept.gateway.times("/tickle")) >= 1


async def test_gateway_that_hangs_is_asked_less_and_less() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = "silence", []
        await asyncio.sleep(600)
        times = [at for at, _, _ in kept.gateway.calls]
        assert len(times) < 14
        assert all(after - before >= 60 for before, after in pairwise(times[-5:]))


async def test_session_is_tickled_every_minute_and_looked_at_every_quarter() -> None:
    async with keeping() as kept:
        await asyncio.sleep(1000)
        tickles, looks = kept.gateway.times("/tickle"), kept.gateway.times("/auth/status")
        assert {round(after - before) for before, after in pairwise(tickles)} == {60}
        assert all(after - before <= 30 for before, after in pairwise(sorted(tickles + looks)))
        assert len(looks) < 1000 / 15 + 15


async def test_nobody_is_tickled_while_nobody_is_signed_in() -> None:
    async with keeping(FakeGateway(says=401)) as kept:
        await asyncio.sleep(600)
        assert kept.gateway.times("/tickle") == []
        assert (await kept.ask.get("/status")).json()["tickle"]["next_due"] is None
        kept.gateway.says = OPEN
        await asyncio.sleep(16)
        assert len(kept.gateway.times("/tickle")) == 1


async def test_never_two_requests_of_the_keeper_in_flight() -> None:
    async with keeping() as kept:
        for says in (LOST, "silence", OPEN, "silence", LOST, 500, OPEN):
            kept.gateway.says = says
            asked = [asyncio.create_task(kept.reauthenticate()) for _ in range(3)]
            await asyncio.sleep(47)
            await asyncio.gather(*asked)
        assert kept.gateway.most_in_flight == 1
        assert kept.gateway.in_flight == 0


async def test_facts_of_the_sign_in_are_asked_once_for_a_session() -> None:
    async with keeping() as kept:
        await asyncio.sleep(3600)
        assert len(kept.gateway.times("/sso/validate")) == 1
        assert len(kept.gateway.times("/iserver/accounts")) == 1
        kept.gateway.says = 401
        await asyncio.sleep(30)
        assert (await kept.ask.get("/status")).json()["mode"] == "unknown"
        kept.gateway.says = OPEN
        await asyncio.sleep(90)
        assert len(kept.gateway.times("/sso/validate")) == 2


async def test_facts_that_cannot_be_had_are_asked_less_and_less_until_they_can() -> None:
    async with keeping(FakeGateway(validation=500, accounts=500)) as kept:
        # Neither here nor a quarter of an hour later the accounts are asked for because an hour is over.
        await asyncio.sleep(5400)
        assert len(kept.gateway.times("/sso/validate")) <= 15
        kept.gateway.accounts = {"accounts": ["DU1234567"], "isPaper": True}
        await asyncio.sleep(901)
        assert (await kept.ask.get("/status")).json()["mode"] == "paper"
        times = kept.gateway.times("/sso/validate")
        assert all(after - before >= 60 for before, after in pairwise(times))


async def test_validation_is_asked_a_minute_after_a_start_or_sign_in_at_the_earliest() -> None:
    async with keeping() as kept:
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(90)
        kept.gateway.says = 401
        await asyncio.sleep(30)
        assert (await kept.ask.get("/status")).json()["state"] == "login_required"
        kept.gateway.says = OPEN
        signed_in = asyncio.get_running_loop().time()
        await asyncio.sleep(90)
        first, second = kept.gateway.times("/sso/validate")
        assert first - started >= 60
        assert second - signed_in >= 60
        assert kept.gateway.times("/iserver/accounts")[0] - started < 10


async def test_penalty_stops_everything_of_the_keeper_and_everything_of_the_guard() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says = 429
        await asyncio.sleep(30)
        kept.gateway.calls.clear()
        token = {"authorization": "Bearer token-of-tests"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kept.keepalive.data), base_url="http://x") as agent:
            answer = await agent.get("http://127.0.0.1/v1/api/portfolio/accounts", headers=token)
        assert answer.status_code == 429
        await asyncio.sleep(280)
        assert [path.rpartition("/")[2] for _, path, _ in kept.gateway.calls] == ["tickle", "tickle"]
        assert (await kept.ask.get("/livez")).status_code == 200
        assert kept.state == "authenticated"


async def test_tickles_that_are_received_and_never_answered_come_within_five_minutes() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = "silence", []
        await asyncio.sleep(3 * 3600)
        tickles = kept.gateway.times("/tickle")
        assert len(tickles) > 3 * 3600 / 300
        assert all(200 <= after - before < 300 for before, after in pairwise(tickles))


async def test_the_keeper_looks_when_the_penalty_ends() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = 429, []
        await asyncio.sleep(590)
        first = kept.gateway.calls[0][0]
        kept.gateway.says = OPEN
        await asyncio.sleep(first + 601 - asyncio.get_running_loop().time())
        assert kept.state == "authenticated"
