"""When the keeper opens the brokerage session, and when it must not, in virtual time."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from random import Random
from typing import Any

import httpx
import pytest

from support.keepalive import LOST, NOON, OFFLINE, OPEN, TAKEN, FakeGateway, eventually, keeping

pytestmark = pytest.mark.looptime


async def test_lost_session_is_opened_on_request_with_compete_false() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(30)
        answer = await kept.reauthenticate()
        assert answer.status_code == 202
        assert answer.json()["accepted"] is True
        assert answer.json()["status"]["state"] == "authenticated"
        bodies = [json.loads(body) for _, path, body in kept.gateway.calls if path.endswith("/iserver/auth/ssodh/init")]
        assert bodies == [{"publish": True, "compete": False}]


async def test_an_opening_under_way_is_called_so_and_not_by_the_end_of_the_one_before() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(30)
        reauth = (await kept.reauthenticate()).json()["status"]["reauth"]
        assert reauth["last_result"] == "accepted"
        await asyncio.sleep(30)
        kept.gateway.delay_s = 3
        asked = asyncio.create_task(kept.reauthenticate())
        await asyncio.sleep(2)
        assert (await kept.ask.get("/status")).json()["reauth"]["last_result"] == "under_way"
        kept.gateway.delay_s, kept.gateway.opens = 0, OPEN
        assert (await asked).json()["status"]["reauth"]["last_result"] == "opened"


async def test_open_session_is_not_opened_again() -> None:
    async with keeping() as kept:
        await asyncio.sleep(60)
        assert (await kept.reauthenticate()).status_code == 202
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


async def test_requests_to_open_are_25_seconds_apart_whoever_asks() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        for _ in range(400):
            answers = await asyncio.gather(*(kept.reauthenticate() for _ in range(3)))
            for answer in answers:
                if answer.status_code != 202:
                    error = answer.json()["error"]
                    assert error["code"] in ("pacing_limited", "session_reopening")
            await asyncio.sleep(1)
        times = kept.gateway.times("/iserver/auth/ssodh/init")
        assert [after - before >= 25 for before, after in pairwise(times)] == [True] * 3
        assert all(after - before >= 25 for before, after in pairwise(times))


async def test_refusal_for_pacing_tells_the_true_wait() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
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
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(5)
        assert (await kept.reauthenticate()).json()["error"]["retry_after_s"] == pytest.approx(20, abs=1)
        assert (await kept.ask.get("/status")).json()["reauth"]["next_allowed_at"] == pytest.approx(NOON + 25, abs=1)


async def test_fresh_sign_in_is_left_to_the_gateway_which_opens_the_session_itself() -> None:
    async with keeping(FakeGateway(says=401), auto_reopen=True) as kept:
        await asyncio.sleep(60)
        kept.gateway.says = LOST
        await asyncio.sleep(16)
        assert (await kept.reauthenticate()).json()["error"]["code"] == "pacing_limited"
        await asyncio.sleep(5)
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


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
    async with keeping(FakeGateway(says=says), auto_reopen=True) as kept:
        await asyncio.sleep(45)
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == code
        assert refused.status_code == (502 if code == "upstream_unreachable" else 504 if "timeout" in code else 503)
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


async def test_owner_may_take_the_session_from_elsewhere_by_policy_and_on_request_only() -> None:
    async with keeping(FakeGateway(says=TAKEN, opens=OPEN), compete=True, auto_reopen=True) as kept:
        await asyncio.sleep(600)
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []
        assert (await kept.reauthenticate()).json()["status"]["state"] == "authenticated"
        body = next(body for _, path, body in kept.gateway.calls if path.endswith("/iserver/auth/ssodh/init"))
        assert json.loads(body) == {"publish": True, "compete": True}


async def test_competitor_that_shows_up_while_a_request_waits_stops_it() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.delay_s = 2
        await eventually(lambda: kept.gateway.in_flight == 1)
        kept.gateway.says = TAKEN
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "session_competing"
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


async def test_request_to_open_whose_answer_is_lost_is_not_followed_by_another_too_soon() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.opens = "silence"
        assert (await kept.reauthenticate()).json()["status"]["reauth"]["last_result"] == "unsure"
        await asyncio.sleep(100)
        kept.gateway.says, kept.gateway.opens = LOST, None
        await eventually(lambda: kept.state == "reopening")
        # The lost request may have waited in the gateway's queue and gone out just now.
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "pacing_limited"


async def test_keeper_opens_a_lost_session_by_itself_only_where_it_is_told_to() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await asyncio.sleep(900)
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []
    async with keeping(FakeGateway(), auto_reopen=True) as kept:
        await asyncio.sleep(300)
        kept.gateway.says, kept.gateway.opens = LOST, OPEN
        await asyncio.sleep(25)
        assert kept.state == "authenticated"
        assert len(kept.gateway.times("/iserver/auth/ssodh/init")) == 1


async def test_keeper_goes_on_farther_and_farther_apart_in_a_long_outage_and_tells_it() -> None:
    async with keeping(FakeGateway(says=LOST), auto_reopen=True) as kept:
        await asyncio.sleep(6 * 3600)
        times = kept.gateway.times("/iserver/auth/ssodh/init")
        waits = [after - before for before, after in pairwise(times)]
        assert all(waited >= wait for waited, wait in zip(waits, (30, 60, 120, 240), strict=False))
        assert all(900 <= wait < 960 for wait in waits[4:])
        assert 25 <= len(times) <= 30
        reauth = (await kept.ask.get("/status")).json()["reauth"]
        assert (reauth["attempts"], reauth["is_used_up"]) == (len(times), True)


async def test_a_sign_in_renews_the_attempts() -> None:
    async with keeping(FakeGateway(says=LOST), auto_reopen=True) as kept:
        await asyncio.sleep(3600)
        kept.gateway.says = 401
        await asyncio.sleep(120)
        kept.gateway.says = LOST
        await eventually(lambda: kept.state == "reopening")
        assert (await kept.ask.get("/status")).json()["reauth"]["attempts"] == 0
        signed_in = asyncio.get_running_loop().time()
        await asyncio.sleep(40)
        assert kept.gateway.times("/iserver/auth/ssodh/init")[-1] - signed_in < 40


async def test_stopped_keeper_answers_requests_with_an_error() -> None:
    async with keeping(FakeGateway(says=LOST)) as kept:
        await asyncio.sleep(40)
        kept.gateway.says = kept.gateway.opens = "silence"
        asked = asyncio.create_task(kept.reauthenticate())
        await asyncio.sleep(1)
        keepalive = kept.keepalive
        await keepalive.__aexit__(None, None, None)
        assert (await asked).status_code == 502
        assert (await kept.reauthenticate()).status_code == 502
        assert (await kept.ask.get("/livez")).status_code == 503


async def test_session_is_not_opened_during_a_penalty() -> None:
    async with keeping(FakeGateway(says=LOST), auto_reopen=True) as kept:
        await asyncio.sleep(5)
        kept.gateway.says = 429
        await asyncio.sleep(120)
        refused = await kept.reauthenticate()
        assert refused.json()["error"]["code"] == "pacing_limited"
        assert kept.gateway.times("/iserver/auth/ssodh/init") == []


@pytest.mark.parametrize("seed", range(5))
async def test_gap_holds_whatever_the_gateway_does_and_whoever_asks(seed: int) -> None:
    random = Random(seed)
    moods = [OPEN, LOST, LOST, TAKEN, OFFLINE, 401, 429, 500, "silence", "refuse", "cut"]
    async with keeping(FakeGateway(says=LOST), auto_reopen=True, compete=seed % 2 == 0) as kept:
        asked: set[asyncio.Task[httpx.Response]] = set()
        for _ in range(150):
            kept.gateway.says, kept.gateway.delay_s = random.choice(moods), random.choice((0, 0, 2, 4))
            for _ in range(random.randrange(4)):
                asked.add(asyncio.create_task(kept.reauthenticate()))
            await asyncio.sleep(random.uniform(1, 40))
        kept.gateway.says, kept.gateway.delay_s = 401, 0
        await asyncio.sleep(400)
        assert all(task.done() and task.result().status_code < 600 for task in asked)
        times = kept.gateway.times("/iserver/auth/ssodh/init")
        assert len(times) > 5
        assert all(after - before >= 25 for before, after in pairwise(times))
        assert (kept.gateway.most_in_flight, kept.gateway.in_flight) == (1, 0)
        assert kept.state == "login_required"
