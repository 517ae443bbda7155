"""What the keeper makes of the gateway's answers, and what it shows of them, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from support.keepalive import LOST, NOON, OFFLINE, OPEN, TAKEN, FakeGateway, keeping

pytestmark = pytest.mark.looptime


async def test_open_session_is_seen_at_once() -> None:
    async with keeping() as kept:
        assert kept.state == "starting"
        await asyncio.sleep(1)
        status = (await kept.ask.get("/status")).json()
        assert status["state"] == "authenticated"
        assert status["mode"] == "paper"
        assert status["auth"]["authenticated"] is True
        assert status["gateway"]["reachable"] is True


@pytest.mark.parametrize(
    ("says", "state"),
    [
        (401, "login_required"),
        (httpx.Response(302, headers={"location": "/sso/Login"}), "login_required"),
        (httpx.Response(200, html="<html>login</html>"), "login_required"),
        ({"error": "no session"}, "login_required"),
        (LOST, "reopening"),
        (OPEN | {"established": False}, "reopening"),
        (OFFLINE, "reopening"),
        (TAKEN, "competing"),
        (OPEN | {"competing": True}, "competing"),
        (httpx.Response(503, json={"error": "maintenance"}), "maintenance"),
        (500, "unreachable"),
        (httpx.Response(200, content=b""), "unreachable"),
        (httpx.Response(200, content=b'{"authenticated":'), "unreachable"),
        ({"authentic": True}, "unreachable"),
        ("cut", "unreachable"),
        ("refuse", "unreachable"),
        ("silence", "hung"),
    ],
)
async def test_change_is_seen_within_half_a_minute_and_undone_as_fast(says: Any, state: str) -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        assert kept.state == "authenticated"
        kept.gateway.says = says
        await asyncio.sleep(30)
        assert kept.state == state
        kept.gateway.says = OPEN
        await asyncio.sleep(60)
        assert kept.state == "authenticated"


async def test_gateway_that_answers_nothing_at_all_is_unreachable_rather_than_hung() -> None:
    gateway = FakeGateway(says="silence", local="silence")
    async with keeping(gateway) as kept:
        await asyncio.sleep(60)
        status = (await kept.ask.get("/status")).json()
        assert (status["state"], status["gateway"]["reachable"]) == ("unreachable", False)


async def test_gateway_that_is_not_up_yet_is_starting_and_its_start_is_noted() -> None:
    gateway = FakeGateway(says="refuse")
    async with keeping(gateway) as kept:
        await asyncio.sleep(10)
        assert kept.state == "starting"
        gateway.says = 401
        await asyncio.sleep(5)
        status = (await kept.ask.get("/status")).json()
        assert status["state"] == "login_required"
        assert NOON + 10 <= status["gateway"]["started_at"] <= NOON + 15


@pytest.mark.parametrize(
    ("validation", "accounts", "mode"),
    [
        ({"LOGIN_TYPE": 1}, {"isPaper": False}, "live"),
        ({"loginType": 2}, {}, "paper"),
        ({"LOGIN_TYPE": 1}, {"isPaper": True}, "paper"),
        ({}, {}, "unknown"),
        (500, 500, "unknown"),
    ],
)
async def test_mode_comes_from_the_accounts_then_from_the_sign_in(validation: Any, accounts: Any, mode: str) -> None:
    async with keeping(FakeGateway(validation=validation, accounts=accounts)) as kept:
        await asyncio.sleep(90)
        assert (await kept.ask.get("/status")).json()["mode"] == mode


async def test_end_of_the_sign_in_is_midnight_until_ibkr_counts_down() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        assert (await kept.ask.get("/status")).json()["login"]["deadline"] == NOON + 12 * 3600
        for left in (240_000, 180_000, 120_000):
            kept.gateway.sso_left_ms = left
            await asyncio.sleep(60)
        deadline = (await kept.ask.get("/status")).json()["login"]["deadline"]
        assert deadline < NOON + 600


async def test_a_machine_that_slept_forgets_what_it_saw_and_looks_at_once() -> None:
    loop = asyncio.get_running_loop()
    slept = 0.0
    async with keeping(wall=lambda: NOON + loop.time() + slept) as kept:
        await asyncio.sleep(610)
        before = (await kept.ask.get("/status")).json()
        slept = 8 * 3600
        status = (await kept.ask.get("/status")).json()
        assert (status["state"], status["mode"]) == ("starting", "unknown")
        assert status["age_seconds"] >= slept
        assert status["observed_at"] == pytest.approx(before["observed_at"], abs=20)
        kept.gateway.calls.clear()
        await asyncio.sleep(1)
        assert kept.state == "authenticated"
        assert kept.gateway.times("/auth/status")
        assert kept.gateway.times("/tickle")


async def test_a_machine_that_slept_looks_at_waking_without_being_asked() -> None:
    loop = asyncio.get_running_loop()
    slept = 0.0
    async with keeping(wall=lambda: NOON + loop.time() + slept) as kept:
        await asyncio.sleep(610)
        kept.gateway.calls.clear()
        slept = 8 * 3600
        await asyncio.sleep(6)
        assert kept.gateway.times("/auth/status")[0] - 610 <= 5
        assert kept.gateway.times("/tickle")[0] - 610 <= 5


async def test_a_calendar_that_is_set_back_changes_nothing_but_the_times_shown() -> None:
    loop = asyncio.get_running_loop()
    jump = 0.0
    async with keeping(wall=lambda: NOON + loop.time() + jump) as kept:
        await asyncio.sleep(610)
        before = len(kept.gateway.calls)
        jump = -1e7
        status = (await kept.ask.get("/status")).json()
        assert status["age_seconds"] <= 15
        assert 0 < status["tickle"]["next_due"] - (NOON + loop.time() + jump) <= 60
        await asyncio.sleep(600)
        assert kept.state == "authenticated"
        assert len(kept.gateway.calls) - before <= 60


async def test_metrics_tell_state_tickles_and_openings() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(130)
        await kept.reauthenticate()
        await asyncio.sleep(1)
        text = (await kept.ask.get("/metrics")).text
        assert 'ibmcp_session_state{state="authenticated"} 1.0' in text
        assert 'ibmcp_session_state{state="reopening"} 0.0' in text
        assert "ibmcp_session_authenticated 1.0" in text
        assert 'ibmcp_tickle_total{result="ok"} 3.0' in text
        assert 'ibmcp_reauth_total{result="opened"} 1.0' in text
        assert 'ibmcp_upstream_requests_total{operation="tickle",status="200"} 3.0' in text
        assert "ibmcp_upstream_in_flight 0.0" in text
        (last,) = (line for line in text.splitlines() if line.startswith("ibmcp_tickle_last_success"))
        assert float(last.split()[1]) == pytest.approx(NOON + 120, abs=5)


async def test_nothing_of_the_account_shows() -> None:
    gateway = FakeGateway(says=OPEN | {"message": "U7654321 has a message", "serverInfo": {"serverName": "x"}})
    async with keeping(gateway) as kept:
        await asyncio.sleep(90)
        answers = [
            await kept.ask.get("/status"),
            await kept.ask.get("/metrics"),
            await kept.browse.get("/login-status"),
        ]
        shown = "".join(answer.text for answer in answers)
        for secret in ("s3cr3t", "DU1234567", "U7654321", "somebody", "token-of-tests"):
            assert secret not in shown


async def test_doubt_of_a_caller_brings_the_next_look_forward() -> None:
    async with keeping() as kept:
        await asyncio.sleep(100)
        kept.gateway.says = 401
        await asyncio.sleep(2.5)
        assert kept.state == "authenticated"
        kept.keepalive.keeper.tracker.probe_soon()
        await asyncio.sleep(2.5)
        assert kept.state == "login_required"
