"""Many agents behind one guard, under IBKR's limits, in virtual time: everybody is answered and none is starved."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ib_keepalive.pacing.pacer import TOGETHER
from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from support.guard import Guarded, error_of, guarded_in_process, simulator

pytestmark = pytest.mark.looptime

SECONDS = 12
# What a broker on the other side of an ocean takes for an answer.
AWAY = FaultSpec(kind="latency", seconds=0.12)


@dataclass
class Tally:
    """What the agents got, by agent. ``lies``: how often a caller came back as told and was refused again."""

    answered: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lies: int = 0

    @property
    def asked(self) -> int:
        return self.answered.total() + self.refused.total() + self.failed.total()


async def run_agents(
    guard: Guarded, agents: int, path: Callable[[int, int], str], *, every_s: float, deadline_ms: int | None = None
) -> Tally:
    """Each agent asks ``path(agent, turn)`` and waits for the answer, at most once in ``every_s``, for 12 s."""
    tally, clock = Tally(), asyncio.get_running_loop().time
    end = clock() + SECONDS

    async def agent(number: int) -> None:
        await asyncio.sleep(every_s * number / agents)
        headers = {"ib-caller": f"agent {number}"} | (
            {} if deadline_ms is None else {"ib-deadline-ms": str(deadline_ms)}
        )
        turn, was_told = 0, False
        while clock() < end:
            began = clock()
            answer = await guard.get(path(number, turn), headers=headers)
            if answer.status_code == 200:
                tally.answered[number] += 1
            elif error_of(answer)["code"] == "pacing_limited":
                tally.refused[number] += 1
                tally.lies += was_told
                was_told = True
                await asyncio.sleep(error_of(answer)["retry_after_s"])
                continue
            else:
                tally.failed[error_of(answer)["code"]] += 1
            was_told, turn = False, turn + 1
            await asyncio.sleep(max(0.0, began + every_s - clock()))

    await asyncio.gather(*(agent(number) for number in range(agents)))
    await guard.rest()
    return tally


def conids_of(broker: Simulator) -> list[int]:
    contracts = broker.backend.worlds["paper"].contracts
    return [contract.conid for contract in contracts if contract.kind in ("STK", "CASH") and contract.feed != "N"]


def history(conid: int, weeks: int) -> str:
    return f"/iserver/marketdata/history?conid={conid}&period={weeks}w&bar=1d"


def prices(conid: int | str) -> str:
    return f"/iserver/marketdata/snapshot?conids={conid}&fields=31,84,86"


@pytest.mark.parametrize("faults", [(), (AWAY,)])
@pytest.mark.parametrize("same", [True, False])
async def test_sixteen_agents_with_ten_symbols_are_all_answered(faults: tuple[FaultSpec, ...], same: bool):
    broker = simulator(*faults)
    conids = conids_of(broker)[:10]

    def path(agent: int, turn: int) -> str:
        conid = conids[(turn if same else agent + turn) % 10]
        return history(conid, 1) if turn % 3 == 2 else prices(conid)

    async with guarded_in_process(broker.app) as guard:
        tally = await run_agents(guard, 16, path, every_s=1.0)
    assert tally.asked > 100
    assert tally.answered.total() == tally.asked
    assert broker.limits.refused == 0


@pytest.mark.parametrize("faults", [(), (AWAY,)])
async def test_sixty_four_agents_with_a_symbol_each_are_all_answered(faults: tuple[FaultSpec, ...]):
    broker = simulator(*faults)
    conids = conids_of(broker)
    lines = [*map(str, conids), *(f"{conid}@SMART" for conid in conids)][:64]
    assert len(set(lines)) == 64
    async with guarded_in_process(broker.app) as guard:
        tally = await run_agents(guard, 64, lambda agent, _: prices(lines[agent]), every_s=1.0)
    assert min(tally.answered[agent] for agent in range(64)) >= 9
    assert tally.answered.total() == tally.asked
    assert broker.limits.refused == 0


@pytest.mark.parametrize(("agents", "every_s"), [(16, 1.0), (16, 0.2), (64, 1.0), (100, 1.0)])
@pytest.mark.parametrize("deadline_ms", [None, 2000])
async def test_beyond_the_limit_nobody_starves_and_the_rest_is_told_the_truth(
    agents: int, every_s: float, deadline_ms: int | None
):
    broker = simulator()
    conids = conids_of(broker)

    def path(agent: int, turn: int) -> str:
        return history(conids[agent % len(conids)], 2 + agent // len(conids) + turn * 7)

    async with guarded_in_process(broker.app) as guard:
        tally = await run_agents(guard, agents, path, every_s=every_s, deadline_ms=deadline_ms)
    assert not tally.failed
    assert tally.lies == 0
    assert broker.limits.refused == 0
    average = tally.answered.total() / agents
    assert min(tally.answered[agent] for agent in range(agents)) >= min(0.8 * average, average - 1)
    assert tally.answered.total() >= 0.9 * TOGETHER.calls * SECONDS


async def test_an_agent_with_many_questions_at_once_does_not_starve_the_others():
    broker = simulator()
    conids = conids_of(broker)
    async with guarded_in_process(broker.app) as guard:
        greedy = [
            asyncio.create_task(guard.get(history(conids[0], weeks), headers={"ib-caller": "greedy"}))
            for weeks in range(2, 62)
        ]
        await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        for turn in range(5):
            began = loop.time()
            answer = await guard.get(history(conids[1], 2 + turn), headers={"ib-caller": "modest"})
            assert answer.status_code == 200
            assert loop.time() - began < 1.1
        codes = Counter(answer.status_code for answer in await asyncio.gather(*greedy))
        assert codes[200] >= 50
        assert codes.keys() <= {200, 429}
        assert broker.limits.refused == 0


@pytest.mark.parametrize("deadline_ms", [None, 3000])
async def test_agents_that_ask_without_waiting_are_served_alike_and_told_the_truth(deadline_ms: int | None):
    broker = simulator(AWAY)
    conids, served, lies, told = conids_of(broker), Counter[int](), 0, 0
    async with guarded_in_process(broker.app) as guard:

        async def ask(agent: int, turn: int) -> None:
            nonlocal lies, told
            headers = {"ib-caller": f"agent {agent}"} | (
                {} if deadline_ms is None else {"ib-deadline-ms": f"{deadline_ms}"}
            )
            path = history(conids[agent], 2 + turn)
            answer = await guard.get(path, headers=headers)
            if answer.status_code == 429:
                told += 1
                await asyncio.sleep(error_of(answer)["retry_after_s"])
                answer = await guard.get(path, headers=headers)
                lies += answer.status_code == 429
            served[agent] += answer.status_code == 200

        async with asyncio.TaskGroup() as asking:
            for turn in range(30):
                for agent in range(16):
                    asking.create_task(ask(agent, turn))
                await asyncio.sleep(2 / 3)
    assert told > 50
    assert lies <= told * 0.02
    assert min(served[agent] for agent in range(16)) >= 0.8 * served.total() / 16
    assert broker.limits.refused == 0
