"""The owner's word reaches the keeper and binds it: with nobody else there, and over a restart. Virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.keepalive import LOST, NOON, OPEN, FakeGateway, Kept, keeping

pytestmark = pytest.mark.looptime
INIT = "/iserver/auth/ssodh/init"


async def say(kept: Kept, **policy: Any) -> httpx.Response:
    return await kept.ask.put("/policy", json={"paused": False, "reopen": True, "max_attempts": None} | policy)


async def test_keeper_reopens_by_the_owners_word_when_nobody_asks() -> None:
    async with keeping(brokerage_login="keeper", reopen_after_s=30) as kept:
        await asyncio.sleep(100)
        assert (await say(kept)).json()["policy"]["reopen"] is True
        kept.gateway.says, kept.gateway.opens = LOST, OPEN
        lost = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        assert kept.state == "authenticated"
        (opened,) = kept.gateway.times(INIT)
        assert 30 <= opened - lost <= 46


@pytest.mark.parametrize("policy", [{"paused": True}, {"reopen": False}, {"max_attempts": 0}])
async def test_what_the_owner_forbids_is_done_neither_by_itself_nor_on_request(
    policy: dict[str, Any], tmp_path: Path
) -> None:
    record = tmp_path / "requests.json"
    async with keeping(auto_reopen=True, record_file=record) as kept:
        await say(kept, **policy)
    # Over a restart of the keepalive too.
    async with keeping(FakeGateway(says=LOST, opens=OPEN), auto_reopen=True, record_file=record) as kept:
        await asyncio.sleep(3600)
        refused = await kept.reauthenticate()
        assert refused.status_code >= 400
        assert kept.gateway.times(INIT) == []
        status = (await kept.ask.get("/status")).json()
        assert status["reauth"]["next_attempt_at"] is None
        assert status["policy"] | policy == status["policy"]


async def test_a_person_may_ask_in_spite_of_all_but_a_pause() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN)) as kept:
        await say(kept, reopen=False, max_attempts=0, paused=True)
        await asyncio.sleep(60)
        assert (await kept.ask.post("/reauthenticate", json={"person": True})).status_code == 403
        await say(kept, reopen=False, max_attempts=0)
        assert (await kept.ask.post("/reauthenticate", json={"person": False})).status_code == 403
        assert (await kept.ask.post("/reauthenticate", json={"person": True})).status_code == 202
        assert kept.state == "authenticated"


async def test_a_restarted_keeper_knows_how_much_of_the_budget_is_spent(tmp_path: Path) -> None:
    record = tmp_path / "requests.json"
    async with keeping(FakeGateway(says=LOST), auto_reopen=True, record_file=record) as kept:
        await asyncio.sleep(500)
        spent = len(kept.gateway.times(INIT))
        assert spent == 5
    started, clock = asyncio.get_running_loop().time(), asyncio.get_running_loop().time
    later = keeping(
        FakeGateway(says=LOST), auto_reopen=True, record_file=record, wall=lambda: NOON + 500 + clock() - started
    )
    async with later as kept:
        await asyncio.sleep(600)
        assert kept.gateway.times(INIT) == []
        assert (await kept.ask.get("/status")).json()["reauth"]["attempts"] == spent


async def test_a_request_that_names_another_gateway_is_refused() -> None:
    async with keeping(FakeGateway(says=LOST, opens=OPEN), instance="pod-1") as kept:
        await asyncio.sleep(40)
        assert (await kept.ask.get("/status")).json()["gateway"]["instance"] == "pod-1"
        other = await kept.ask.post("/reauthenticate", json={"instance": "pod-0"})
        assert (other.status_code, other.json()["error"]["code"]) == (409, "invalid_request")
        assert kept.gateway.times(INIT) == []
        assert (await kept.ask.post("/reauthenticate", json={"instance": "pod-1"})).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "nonsense",
        '{"paused": 1, "reopen": true}',
        '{"paused": false, "reopen": true, "max_attempts": -1}',
        '{"paused": false, "reopen": true, "max_attempts": true}',
    ],
)
async def test_what_is_no_policy_is_refused_with_the_shape_and_changes_nothing(body: str) -> None:
    async with keeping() as kept:
        refused = await kept.ask.put("/policy", content=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
        assert (await kept.ask.get("/status")).json()["policy"]["set_at"] is None
