"""The keeper in front of a gateway, in virtual time."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from random import Random
from typing import Any

import httpx
import pytest

from keeping import LOST, NOON, OFFLINE, OPEN, TAKEN, Gateway, eventually, keeping

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


async def test_too_many_requests_are_no_sign_of_anything_and_are_answered_with_patience() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        kept.gateway.says, kept.gateway.calls[:] = httpx.Response(429, headers={"retry-after": "600"}), []
        await asyncio.sleep(540)
        assert kept.state == "authenticated"
        assert len(kept.gateway.times("/auth/status")) <= 2
        assert (await kept.ask.get("/status")).json()["age_seconds"] > 500


async def test_gateway_that_answers_nothing_at_all_is_unreachable_rather_than_hung() -> None:
    gateway = Gateway(says="silence", local="silence")
    async with keeping(gateway) as kept:
        await asyncio.sleep(60)
        status = (await kept.ask.get("/status")).json()
        assert (status["state"], status["gateway"]["reachable"]) == ("unreachable", False)


async def test_gateway_that_is_not_up_yet_is_starting_and_its_start_is_noted() -> None:
    gateway = Gateway(says="refuse")
    async with keeping(gateway) as kept:
        await asyncio.sleep(10)
        assert kept.state == "starting"
        gateway.says = 401
        await asyncio.sleep(5)
        status = (await kept.ask.get("/status")).json()
        assert status["state"] == "login_required"
        assert NOON + 10 <= status["gateway"]["started_at"] <= NOON + 15


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
    async with keeping(Gateway(says=401)) as kept:
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
    async with keeping(Gateway(validation=validation, accounts=accounts)) as kept:
        await asyncio.sleep(90)
        assert (await kept.ask.get("/status")).json()["mode"] == mode


async def test_facts_that_cannot_be_had_are_not_asked_for_ever() -> None:
    async with keeping(Gateway(validation=500, accounts=500)) as kept:
        await asyncio.sleep(7200)
        assert len(kept.gateway.times("/sso/validate")) <= 5
        times = kept.gateway.times("/sso/validate")
        assert all(after - before >= 60 for before, after in pairwise(times))


async def test_end_of_the_sign_in_is_midnight_until_ibkr_counts_down() -> None:
    async with keeping() as kept:
        await asyncio.sleep(90)
        assert (await kept.ask.get("/status")).json()["login"]["deadline"] == NOON + 12 * 3600
        for left in (240_000, 180_000, 120_000):
            kept.gateway.sso_left_ms = left
            await asyncio.sleep(60)
        deadline = (await kept.ask.get("/status")).json()["login"]["deadline"]
        assert deadline < NOON + 600


async def test_jumps_of_the_wall_clock_change_nothing_but_the_times_shown() -> None:
    loop = asyncio.get_running_loop()
    jump = 0.0
    async with keeping(wall=lambda: NOON + loop.time() + jump) as kept:
        await asyncio.sleep(610)
        before = len(kept.gateway.calls)
        jump = 1e7
        status = (await kept.ask.get("/status")).json()
        assert status["age_seconds"] <= 15
        assert abs(status["observed_at"] - (NOON + loop.time() + jump)) <= 15
        jump = -1e7
        status = (await kept.ask.get("/status")).json()
        assert status["age_seconds"] <= 15
        assert 0 < status["tickle"]["next_due"] - (NOON + loop.time() + jump) <= 60
        await asyncio.sleep(600)
        assert kept.state == "authenticated"
        assert len(kept.gateway.calls) - before <= 60


async def test_lost_session_is_opened_on_request_with_compete_false() -> None:
    async with keeping(Gateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(30)
        answer = await kept.reauthenticate()
        assert answer.status_code == 202
        assert answer.json()["accepted"] is True
        assert answer.json()["status"]["state"] == "authenticated"
        bodies = [json.loads(body) for _, path, body in kept.gateway.calls if path.endswith("/ssodh/init")]
        assert bodies == [{"publish": True, "compete": False}]


async def test_open_session_is_not_opened_again() -> None:
    async with keeping() as kept:
        await asyncio.sleep(60)
        assert (await kept.reauthenticate()).status_code == 202
        assert kept.gateway.times("/ssodh/init") == []


async def test_requests_to_open_are_25_seconds_apart_whoever_asks() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        for _ in range(400):
            answers = await asyncio.gather(*(kept.reauthenticate() for _ in range(3)))
            for answer in answers:
                if answer.status_code != 202:
                    error = answer.json()["error"]
                    assert error["code"] in ("pacing_limited", "session_reopening")
            await asyncio.sleep(1)
        times = kept.gateway.times("/ssodh/init")
        assert len(times) >= 10
        assert all(after - before >= 25 for before, after in pairwise(times))


async def test_refusal_for_pacing_tells_the_true_wait() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        await asyncio.sleep(30)
        assert (await kept.reauthenticate()).status_code == 202
        await asyncio.sleep(4)
        refused = await kept.reauthenticate()
        assert refused.status_code == 429
        wait = refused.json()["error"]["retry_after_s"]
        assert 20 < wait <= 21
        await asyncio.sleep(wait + 0.1)
        assert (await kept.reauthenticate()).status_code == 202


async def test_restarted_keeper_does_not_ask_right_after_the_one_before_it() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        await asyncio.sleep(5)
        assert (await kept.reauthenticate()).json()["error"]["retry_after_s"] == pytest.approx(20, abs=1)
        assert (await kept.ask.get("/status")).json()["reauth"]["next_allowed_at"] == pytest.approx(NOON + 25, abs=1)


async def test_fresh_sign_in_is_left_to_the_gateway_which_opens_the_session_itself() -> None:
    async with keeping(Gateway(says=401), auto_reopen=True) as kept:
        await asyncio.sleep(60)
        kept.gateway.says = LOST
        await asyncio.sleep(16)
        assert (await kept.reauthenticate()).json()["error"]["code"] == "pacing_limited"
        await asyncio.sleep(5)
        assert kept.gateway.times("/ssodh/init") == []


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (401, "login_required"),
        (TAKEN, "session_competing"),
        (httpx.Response(503, text="maintenance"), "maintenance"),
        ("refuse", "upstream_unreachable"),
        ("silence", "upstream_timeout"),
        (OPEN | {"established": False}, "session_reopening"),
    ],
)
async def test_session_is_not_opened_where_that_cannot_help(says: Any, code: str) -> None:
    async with keeping(Gateway(says=says), auto_reopen=True) as kept:
        await asyncio.sleep(45)
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == code
        assert refused.status_code == (502 if code == "upstream_unreachable" else 504 if "timeout" in code else 503)
        assert kept.gateway.times("/ssodh/init") == []


async def test_owner_may_take_the_session_from_elsewhere_by_policy_and_on_request_only() -> None:
    async with keeping(Gateway(says=TAKEN, opens=OPEN), compete=True, auto_reopen=True) as kept:
        await asyncio.sleep(600)
        assert kept.gateway.times("/ssodh/init") == []
        assert (await kept.reauthenticate()).json()["status"]["state"] == "authenticated"
        body = next(body for _, path, body in kept.gateway.calls if path.endswith("/ssodh/init"))
        assert json.loads(body) == {"publish": True, "compete": True}


async def test_competitor_that_shows_up_while_a_request_waits_stops_it() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.delay_s = 2
        await eventually(lambda: kept.gateway.in_flight == 1)
        kept.gateway.says = TAKEN
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "session_competing"
        assert kept.gateway.times("/ssodh/init") == []


async def test_request_to_open_whose_answer_is_lost_is_not_followed_by_another_too_soon() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.opens = "silence"
        assert (await kept.reauthenticate()).json()["status"]["reauth"]["last_result"] == "timeout"
        await asyncio.sleep(100)
        kept.gateway.says, kept.gateway.opens = LOST, None
        await eventually(lambda: kept.state == "reopening")
        # The lost request may have waited in the gateway's queue and gone out just now.
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "pacing_limited"


async def test_keeper_opens_a_lost_session_by_itself_only_where_it_is_told_to() -> None:
    async with keeping(Gateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(900)
        assert kept.gateway.times("/ssodh/init") == []
    async with keeping(Gateway(), auto_reopen=True) as kept:
        await asyncio.sleep(300)
        kept.gateway.says, kept.gateway.opens = LOST, OPEN
        await asyncio.sleep(25)
        assert kept.state == "authenticated"
        assert len(kept.gateway.times("/ssodh/init")) == 1


async def test_keeper_gives_up_after_five_tries() -> None:
    async with keeping(Gateway(says=LOST), auto_reopen=True) as kept:
        await asyncio.sleep(6 * 3600)
        times = kept.gateway.times("/ssodh/init")
        assert len(times) == 5
        waits = [after - before for before, after in pairwise(times)]
        assert all(waited >= wait for waited, wait in zip(waits, (30, 60, 120, 240), strict=True))


async def test_stopped_keeper_answers_requests_with_an_error() -> None:
    async with keeping(Gateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.says = kept.gateway.opens = "silence"
        asked = asyncio.create_task(kept.reauthenticate())
        await asyncio.sleep(1)
        keepalive = kept.keepalive
        await keepalive.__aexit__(None, None, None)
        assert (await asked).status_code == 502
        assert (await kept.reauthenticate()).status_code == 502
        assert (await kept.ask.get("/livez")).status_code == 503


async def test_metrics_tell_state_tickles_and_openings() -> None:
    async with keeping(Gateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(130)
        await kept.reauthenticate()
        await asyncio.sleep(1)
        text = (await kept.ask.get("/metrics")).text
        assert 'ibmcp_session_state{state="authenticated"} 1.0' in text
        assert 'ibmcp_session_state{state="reopening"} 0.0' in text
        assert "ibmcp_session_authenticated 1.0" in text
        assert 'ibmcp_tickle_total{result="ok"} 3.0' in text
        assert 'ibmcp_reauth_total{result="accepted"} 1.0' in text
        assert 'ibmcp_upstream_requests_total{operation="tickle",status="200"} 3.0' in text
        assert "ibmcp_upstream_in_flight 0.0" in text
        (last,) = (line for line in text.splitlines() if line.startswith("ibmcp_tickle_last_success"))
        assert float(last.split()[1]) == pytest.approx(NOON + 120, abs=5)


async def test_nothing_of_the_account_shows() -> None:
    gateway = Gateway(says=OPEN | {"message": "U7654321 has a message", "serverInfo": {"serverName": "x"}})
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
        assert len(kept.gateway.calls) == 2
        await asyncio.sleep(280)
        assert (await kept.ask.get("/livez")).status_code == 200
        assert kept.state == "authenticated"


async def test_session_is_not_opened_during_a_penalty() -> None:
    async with keeping(Gateway(says=LOST), auto_reopen=True) as kept:
        await asyncio.sleep(5)
        kept.gateway.says = 429
        await asyncio.sleep(120)
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "pacing_limited"
        assert kept.gateway.times("/ssodh/init") == []


async def test_doubt_of_a_caller_brings_the_next_look_forward() -> None:
    async with keeping() as kept:
        await asyncio.sleep(100)
        kept.gateway.says = 401
        await asyncio.sleep(2.5)
        assert kept.state == "authenticated"
        kept.keepalive.keeper.doubt()
        await asyncio.sleep(2.5)
        assert kept.state == "login_required"


@pytest.mark.parametrize("seed", range(5))
async def test_gap_holds_whatever_the_gateway_does_and_whoever_asks(seed: int) -> None:
    random = Random(seed)
    moods = [OPEN, LOST, LOST, TAKEN, OFFLINE, 401, 429, 500, "silence", "refuse", "cut"]
    async with keeping(Gateway(says=LOST), auto_reopen=True, compete=seed % 2 == 0) as kept:
        asked: set[asyncio.Task[httpx.Response]] = set()
        for _ in range(150):
            kept.gateway.says, kept.gateway.delay_s = random.choice(moods), random.choice((0, 0, 2, 4))
            for _ in range(random.randrange(4)):
                asked.add(asyncio.create_task(kept.reauthenticate()))
            await asyncio.sleep(random.uniform(1, 40))
        kept.gateway.says, kept.gateway.delay_s = 401, 0
        await asyncio.sleep(400)
        assert all(task.done() and task.result().status_code < 600 for task in asked)
        times = kept.gateway.times("/ssodh/init")
        assert len(times) > 5
        assert all(after - before >= 25 for before, after in pairwise(times))
        assert (kept.gateway.most_in_flight, kept.gateway.in_flight) == (1, 0)
        assert kept.state == "login_required"
