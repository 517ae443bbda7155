"""Slow, silent and refusing: one bad question or operation does not take all, and no 429 is earned."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.guard import asked, error_of, guarded_in_process
from support.load import full_load
from support.simulated import simulated

pytestmark = pytest.mark.looptime
LEDGER = "/portfolio/DU7420001/ledger"
PATIENT = {"ib-deadline-ms": "60000"}


def history(conid: int) -> str:
    return f"/iserver/marketdata/history?conid={conid}&period=1w&bar=1d"


async def test_an_instrument_whose_history_never_comes_does_not_take_the_slots():
    """Asked in turns with one that is answered at once: the answers of the one say nothing of the other."""
    broker = simulated()
    held = most_held = 0

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        nonlocal held, most_held
        if b"conid=265598" not in scope.get("query_string", b""):
            await broker.app(scope, receive, send)
            return
        # IBKR's program holds the request for three minutes, whoever leaves.
        held += 1
        most_held = max(most_held, held)
        asyncio.get_running_loop().call_later(180, release)
        await asyncio.Event().wait()

    def release() -> None:
        nonlocal held
        held -= 1

    async with guarded_in_process(gateway) as guard:
        good = silent = 0
        asking: list[asyncio.Task[Any]] = []
        for number in range(80):
            patient = {"ib-caller": "a", "ib-deadline-ms": "60000"}
            asking.append(asyncio.create_task(guard.get(history(265598), headers=patient)))
            await asyncio.sleep(7)
            broker.session.touch(broker.clock.now())
            other = await guard.get(history((8314, 272093)[number % 2]), headers={"ib-caller": "b"})
            good += other.status_code == 200
        silent = sum(answer.status_code == 504 for answer in await asyncio.gather(*asking))
    assert (good, silent) == (80, 80)
    # Asked again as soon as one was given up, there would be six.
    assert most_held <= 3


async def test_a_question_that_got_no_answer_rests_longer_each_time_and_others_of_its_kind_do_not():
    broker = simulated(FaultSpec(kind="hang", endpoint="get_price_history", count=1))
    async with guarded_in_process(broker.app) as guard:
        assert (await guard.get(history(265598), headers=PATIENT)).status_code == 504
        rests = await guard.get(history(265598), headers=PATIENT)
        assert (error_of(rests)["code"], rests.status_code) == ("upstream_timeout", 504)
        assert 25 < error_of(rests)["retry_after_s"] <= 30
        assert (await guard.get(history(8314), headers=PATIENT)).status_code == 200
        assert asked(broker, "get_price_history") == 2
        await asyncio.sleep(30)
        assert (await guard.get(history(265598), headers=PATIENT)).status_code == 200


async def test_a_429_of_one_operation_closes_that_one_as_soon_as_others_are_seen_to_be_answered():
    broker = simulated(FaultSpec(kind="answer", endpoint="get_ledger", status=429, body={}, count=1))
    async with guarded_in_process(broker.app) as guard:
        assert (await guard.get(LEDGER)).status_code == 429
        assert error_of(await guard.get("/portfolio/DU7420001/meta"))["code"] == "pacing_limited"
        for _ in range(6):
            # The keeper goes on, and IBKR answers it.
            await asyncio.sleep(15)
            await guard.pacer.reserve("get_auth_status")
            guard.pacer.answered(200)
        assert (await guard.get("/portfolio/DU7420001/meta")).status_code == 200
        refused = await guard.get(LEDGER)
        assert "get_ledger" in error_of(refused)["message"]
        assert 400 < error_of(refused)["retry_after_s"] <= 510
        for _ in range(9):
            await asyncio.sleep(60)
            broker.session.touch(broker.clock.now())
        assert (await guard.get(LEDGER)).status_code == 200


async def test_while_ibkr_answers_nobody_the_whole_penalty_is_waited_for():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        broker.faults.add(FaultSpec(kind="answer", path="*", status=429, body={}))
        assert (await guard.get(LEDGER)).status_code == 429
        for _ in range(6):
            await asyncio.sleep(60)
            await guard.pacer.reserve("get_auth_status")
            guard.pacer.answered(429)
        refused = await guard.get("/portfolio/DU7420001/meta")
        assert 230 < error_of(refused)["retry_after_s"] <= 240
        assert len(broker.requests) == 1


async def test_a_single_good_answer_does_not_end_a_penalty():
    broker = simulated(FaultSpec(kind="answer", endpoint="get_ledger", status=429, body={}, count=1))
    async with guarded_in_process(broker.app) as guard:
        assert (await guard.get(LEDGER)).status_code == 429
        await asyncio.sleep(15)
        await guard.pacer.reserve("tickle")
        guard.pacer.answered(200)
        await asyncio.sleep(10)
        assert error_of(await guard.get("/portfolio/DU7420001/meta"))["code"] == "pacing_limited"


async def test_full_load_over_a_slow_network_and_a_process_that_stands_still_earns_no_429():
    """Two minutes of what ``python -m tests.soak.load`` does for an hour."""
    result = await full_load(seed=1, seconds=120)
    assert result.refused == 0
    assert result.answered > 120 * 3
