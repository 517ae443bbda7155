"""Who joins a question of others has the better of the two places, and its own deadline."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ib_simulator.faults.faults import FaultSpec
from support.guard import Guarded, asked, error_of, guarded_in_process
from support.simulated import simulated

pytestmark = pytest.mark.looptime
LEDGER, ACCOUNT = "/portfolio/DU7420001/ledger", "DU7420001"


def now() -> float:
    return asyncio.get_running_loop().time()


async def flood(guard: Guarded, count: int, caller: str = "heavy") -> list[asyncio.Task[Any]]:
    """``count`` different questions of one caller."""
    await guard.get("/portfolio/accounts")
    patient = {"ib-caller": caller, "ib-deadline-ms": "60000"}
    asking = [asyncio.create_task(guard.get(f"{LEDGER}?n={n}", headers=patient)) for n in range(count)]
    await asyncio.sleep(0.05)
    return asking


async def test_who_asks_what_a_heavy_caller_has_queued_waits_as_for_a_question_of_its_own():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        heavy = await flood(guard, 66)
        began = now()
        joined = await guard.get(f"{LEDGER}?n=65", headers={"ib-caller": "light", "ib-deadline-ms": "3000"})
        assert joined.status_code == 200
        assert joined.headers["ib-source"] == "coalesced"
        assert now() - began < 1.5
        assert all(answer.status_code == 200 for answer in await asyncio.gather(*heavy))
        assert asked(broker, "get_ledger") == 66


async def test_who_joins_a_heavy_callers_question_has_not_less_of_the_queue_afterwards():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        heavy = await flood(guard, 66)
        light = [
            guard.get(f"{LEDGER}?n={n}", headers={"ib-caller": "light", "ib-deadline-ms": "60000"})
            for n in range(60, 66)
        ]
        began = now()
        await asyncio.gather(*light)
        # Every second turn is the light caller's: 6 of its own among 12, at 9 a second.
        assert now() - began < 3
        await asyncio.gather(*heavy)


async def test_prices_that_a_heavy_caller_has_queued_do_not_keep_a_light_one_waiting():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        prices = "/iserver/marketdata/snapshot?conids=265598&fields=31"
        await guard.get(prices, headers={"ib-caller": "heavy"})
        await asyncio.sleep(2)
        heavy = await flood(guard, 60)
        slow = asyncio.create_task(guard.get(prices, headers={"ib-caller": "heavy", "ib-deadline-ms": "60000"}))
        await asyncio.sleep(0.05)
        began = now()
        answer = await guard.get(prices, headers={"ib-caller": "light", "ib-deadline-ms": "4000"})
        assert "31" in answer.json()[0]
        assert now() - began < 2.5
        await asyncio.gather(slow, *heavy)


async def test_what_is_prepared_for_a_heavy_caller_is_prepared_for_a_light_one_as_soon():
    broker = simulated(FaultSpec(kind="latency", endpoint="list_portfolio_accounts", seconds=0.1))
    async with guarded_in_process(broker.app) as guard:
        stocks = [
            asyncio.create_task(
                guard.get(f"/trsrv/stocks?symbols=A{n}", headers={"ib-caller": "heavy", "ib-deadline-ms": "60000"})
            )
            for n in range(60)
        ]
        await asyncio.sleep(0.01)
        heavy = asyncio.create_task(guard.get(LEDGER, headers={"ib-caller": "heavy", "ib-deadline-ms": "60000"}))
        await asyncio.sleep(0.01)
        began = now()
        # It joins the ledger, whose account list stands last in the queue.
        light = await guard.get(LEDGER, headers={"ib-caller": "light", "ib-deadline-ms": "5000"})
        assert light.status_code == 200
        assert now() - began < 3
        await asyncio.gather(heavy, *stocks)


async def test_a_hasty_caller_does_not_fail_a_patient_one_while_its_question_is_prepared():
    broker = simulated(FaultSpec(kind="latency", endpoint="list_portfolio_accounts", seconds=2))
    async with guarded_in_process(broker.app) as guard:
        hasty = asyncio.create_task(guard.get(LEDGER, headers={"ib-caller": "a", "ib-deadline-ms": "500"}))
        await asyncio.sleep(0.1)
        patient = asyncio.create_task(guard.get(LEDGER, headers={"ib-caller": "b", "ib-deadline-ms": "20000"}))
        assert error_of(await hasty)["code"] == "upstream_timeout"
        assert (await patient).status_code == 200


async def test_a_hasty_first_caller_of_prices_does_not_fail_a_patient_one():
    broker = simulated(FaultSpec(kind="latency", endpoint="list_brokerage_accounts", seconds=2))
    async with guarded_in_process(broker.app) as guard:
        path = "/iserver/marketdata/snapshot?conids=265598&fields=31"
        hasty = asyncio.create_task(guard.get(path, headers={"ib-caller": "a", "ib-deadline-ms": "500"}))
        await asyncio.sleep(0.1)
        patient = await guard.get(path, headers={"ib-caller": "b", "ib-deadline-ms": "20000"})
        assert "31" in patient.json()[0]
        assert (await hasty).status_code == 504


async def test_one_caller_with_very_many_questions_keeps_nobody_out():
    broker = simulated(FaultSpec(kind="latency", endpoint="get_ledger", seconds=1))
    async with guarded_in_process(broker.app) as guard:
        heavy = await flood(guard, 300)
        newcomer = await guard.get("/portfolio/DU7420001/meta", headers={"ib-caller": "new"})
        assert newcomer.status_code == 200
        answers = await asyncio.gather(*heavy)
        assert sum(answer.status_code == 200 for answer in answers) >= 128


async def test_promises_to_callers_that_never_return_do_not_add_up():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:

        async def ask(number: int, period: str = "1M") -> Any:
            body = {"acctIds": [ACCOUNT], "period": period}
            return await guard.post("/pa/performance", json=body, headers={"ib-caller": str(number)})

        assert (await ask(0)).status_code == 200
        told = [error_of(await ask(number, f"{number}W"))["retry_after_s"] for number in range(1, 9)]
        assert max(told) < 950
        for _ in range(16):
            await asyncio.sleep(60)
            broker.session.touch(broker.clock.now())
        assert (await ask(20, "1Y")).status_code == 200
