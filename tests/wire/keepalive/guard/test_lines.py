"""IBKR's hundred market-data lines, shared by all who ask for prices: each gets its prices, and none loses them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ib_simulator.answers.snapshot import lines_of
from ib_simulator.faults.faults import FaultSpec
from ibkr.session import SessionState
from support.guard import Guarded, asked, error_of, guarded_in_process
from support.simulated import simulated, stocks_of

pytestmark = pytest.mark.looptime
PATIENT = {"ib-deadline-ms": "60000"}


async def prices(guard: Guarded, conids: list[str], **headers: str) -> httpx.Response:
    path = f"/iserver/marketdata/snapshot?conids={','.join(conids)}&fields=31,84"
    return await guard.get(path, headers=PATIENT | {name.replace("_", "-"): value for name, value in headers.items()})


def priced(answer: httpx.Response) -> int:
    """How many instruments have a price."""
    return sum("31" in row for row in answer.json())


@pytest.mark.parametrize("state", [SessionState.HUNG, SessionState.LOGIN_REQUIRED, SessionState.UNREACHABLE])
async def test_lines_that_ibkr_still_holds_after_a_bad_spell_are_given_up(state: SessionState):
    broker = simulated(limits=False)
    conids = stocks_of(broker, 150)
    async with guarded_in_process(broker.app) as guard:
        assert priced(await prices(guard, conids[:90])) == 90
        guard.session.become(state)
        await prices(guard, conids[:1])
        guard.session.become(SessionState.AUTHENTICATED)
        assert priced(await prices(guard, conids[90:])) == 60
        assert len(lines_of(broker.session.memory)) <= 100


async def test_lines_of_before_a_restart_of_the_guard_are_given_up():
    broker = simulated(limits=False)
    conids = stocks_of(broker, 150)
    async with guarded_in_process(broker.app) as guard:
        assert priced(await prices(guard, conids[:90])) == 90
    async with guarded_in_process(broker.app) as guard:
        assert priced(await prices(guard, conids[90:])) == 60
        assert asked(broker, "unsubscribe_all_market_data") == 2


async def test_two_questions_that_need_more_lines_than_there_are_both_get_their_prices():
    broker = simulated(limits=False)
    conids = stocks_of(broker, 140)
    async with guarded_in_process(broker.app) as guard:
        one, other = await asyncio.gather(
            prices(guard, conids[:70], ib_caller="a"), prices(guard, conids[70:], ib_caller="b")
        )
        assert (priced(one), priced(other)) == (70, 70)


async def test_five_questions_at_once_are_served_one_after_the_other_to_the_end():
    broker = simulated(limits=False)
    conids = stocks_of(broker, 300)
    async with guarded_in_process(broker.app) as guard:
        asking = [prices(guard, conids[n * 60 : n * 60 + 60], ib_caller=str(n)) for n in range(5)]
        answers = await asyncio.gather(*asking)
        assert [priced(answer) for answer in answers] == [60] * 5
        assert asked(broker, "unsubscribe_all_market_data") <= 5


async def test_who_cannot_wait_for_lines_is_told_that_they_are_in_use():
    broker = simulated(FaultSpec(kind="latency", endpoint="get_price_snapshot", seconds=4), limits=False)
    conids = stocks_of(broker, 160)
    async with guarded_in_process(broker.app) as guard:
        first = asyncio.create_task(prices(guard, conids[:80], ib_caller="a"))
        await asyncio.sleep(1)
        hurried = await prices(guard, conids[80:], ib_caller="b", ib_deadline_ms="2000")
        assert hurried.status_code == 429
        assert "lines are in use" in error_of(hurried)["message"]
        assert error_of(hurried)["retry_after_s"] > 0
        assert priced(await first) == 80
        assert priced(await prices(guard, conids[80:])) == 80


async def test_agents_who_poll_more_instruments_than_there_are_lines_all_get_their_prices():
    broker = simulated()
    conids = stocks_of(broker, 120)
    missed: list[Any] = []
    async with guarded_in_process(broker.app) as guard:
        loop = asyncio.get_running_loop()

        async def poll(number: int) -> int:
            mine, polls = conids[number * 30 : number * 30 + 30], 0
            while loop.time() < 600:
                answer = await prices(guard, mine, ib_caller=str(number))
                if answer.status_code != 200 or priced(answer) < 30:
                    missed.append((loop.time(), number, answer.text[:200]))
                polls += 1
                await asyncio.sleep(1)
            return polls

        polls = await asyncio.gather(*map(poll, range(4)))
    assert not missed
    assert min(polls) >= 30
    assert asked(broker, "unsubscribe_all_market_data") <= 62
    assert not broker.limits.refused


async def test_an_instrument_or_two_too_many_do_not_wake_all_feeds_anew():
    broker = simulated()
    conids = stocks_of(broker, 104)
    async with guarded_in_process(broker.app) as guard:

        async def poll(number: int) -> None:
            for _ in range(20):
                assert priced(await prices(guard, conids[number * 26 : number * 26 + 26], ib_caller=str(number))) == 26
                await asyncio.sleep(2)

        await asyncio.gather(*map(poll, range(4)))
    assert asked(broker, "unsubscribe_all_market_data") == 1
    assert asked(broker, "unsubscribe_market_data") <= 80 * 5


async def test_lines_are_free_again_when_their_readers_leave():
    broker = simulated(FaultSpec(kind="hang", endpoint="get_price_snapshot"), limits=False)
    conids = stocks_of(broker, 160)
    async with guarded_in_process(broker.app) as guard:
        leaving = asyncio.create_task(prices(guard, conids[:80]))
        await asyncio.sleep(1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        broker.faults.remove()
        await asyncio.sleep(70)
        assert priced(await prices(guard, conids[80:])) == 80


async def test_one_error_of_one_instrument_keeps_nobody_from_sharing_it_a_minute_later():
    failing = FaultSpec(kind="answer", endpoint="get_price_snapshot", status=500, body={"error": "unknown"}, count=1)
    broker = simulated(failing)
    others = [conid for conid in stocks_of(broker, 21) if conid != "265598"]
    async with guarded_in_process(broker.app) as guard:
        assert (await prices(guard, ["265598"])).status_code == 500
        await asyncio.sleep(61)
        before = asked(broker, "get_price_snapshot")
        asking = (prices(guard, ["265598", others[n % 20]], ib_caller=str(n)) for n in range(60))
        assert all(priced(answer) == 2 for answer in await asyncio.gather(*asking))
        assert asked(broker, "get_price_snapshot") - before <= 12


async def test_those_who_want_the_refused_instrument_share_it_at_once():
    failing = FaultSpec(kind="answer", endpoint="get_price_snapshot", status=500, body={"error": "unknown"}, count=1)
    broker = simulated(failing)
    async with guarded_in_process(broker.app) as guard:
        await prices(guard, ["265598"])
        before = asked(broker, "get_price_snapshot")
        answers = await asyncio.gather(*(prices(guard, ["265598"], ib_caller=str(n)) for n in range(60)))
        assert all(priced(answer) == 1 for answer in answers)
        assert asked(broker, "get_price_snapshot") - before <= 6


async def test_prices_of_long_ago_are_not_told_as_new_where_no_fields_are_named():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        [old] = (await prices(guard, ["265598"])).json()
        await asyncio.sleep(300)
        answer = await guard.get("/iserver/marketdata/snapshot?conids=265598", headers=PATIENT)
        [row] = answer.json()
        [new] = (await prices(guard, ["265598"])).json()
        assert (row["31"], row["84"]) == (new["31"], new["84"])
        assert row["31"] != old["31"]
        assert int(answer.headers["ib-age-ms"]) < 1000


async def test_a_feed_that_ibkr_let_go_by_itself_is_warmed_up_again():
    broker = simulated()
    async with guarded_in_process(broker.app) as guard:
        assert priced(await prices(guard, ["265598", "8314"])) == 2
        await asyncio.sleep(100)
        lines_of(broker.session.memory).clear()
        assert priced(await prices(guard, ["265598", "8314"])) == 2
