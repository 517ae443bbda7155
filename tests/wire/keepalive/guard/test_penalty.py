"""IBKR's penalty box for everything: each agent is told so, and when to come back, whatever else is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from ib_keepalive.app import Keepalive
from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from support.guard import error_of
from support.keepalive import eventually, settings
from support.serve import InProcess
from support.simulated import simulated

pytestmark = pytest.mark.looptime

PENALTY_S = 600
QUESTIONS = (
    ("GET", "/iserver/marketdata/snapshot?conids=265598&fields=31"),
    ("GET", "/portfolio/DU7420001/ledger"),
    ("GET", "/iserver/account/orders"),
    ("POST", "/iserver/auth/ssodh/init"),
)


@asynccontextmanager
async def kept(broker: Simulator) -> AsyncIterator[tuple[Keepalive, httpx.AsyncClient]]:
    keepalive = Keepalive(settings(maintenance_hours=False), InProcess(broker.app), wall=broker.clock.now)
    async with (
        keepalive,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(keepalive.data),
            base_url="http://guard.test/v1/api",
            headers={"Authorization": "Bearer token-of-tests"},
            timeout=None,
        ) as agent,
    ):
        await asyncio.sleep(90)
        yield keepalive, agent


def open_session(_: Simulator) -> None:
    pass


def lost_session(broker: Simulator) -> None:
    broker.session.drop("the test")


def hang(broker: Simulator) -> None:
    broker.faults.add(FaultSpec(kind="hang"))


def crash(broker: Simulator) -> None:
    broker.faults.add(FaultSpec(kind="refuse"))


@pytest.mark.parametrize("trouble", [open_session, lost_session, hang, crash])
async def test_every_agent_is_told_the_end_of_the_penalty(trouble: Callable[[Simulator], None]):
    broker = simulated()
    loop = asyncio.get_running_loop()
    async with kept(broker) as (keepalive, agent):
        trouble(broker)
        await asyncio.sleep(60)
        broker.limits.boxed_until = broker.clock.now() + PENALTY_S
        broker.faults.remove()
        await eventually(lambda: keepalive.keeper.status().pacing.penalty_until is not None)
        ends = loop.time() + PENALTY_S
        while loop.time() < ends - 10:
            for method, path in QUESTIONS:
                answer = await agent.request(method, path)
                if answer.status_code == 200:
                    # The keeper answers that the session is open already.
                    assert method == "POST"
                    continue
                assert (answer.status_code, error_of(answer)["code"]) == (429, "pacing_limited"), answer.text
                assert error_of(answer)["retry_after_s"] == pytest.approx(ends - loop.time(), abs=1.5)
            await asyncio.sleep(10)
        assert not broker.limits.breaches


async def test_who_comes_back_as_told_is_answered():
    broker = simulated()
    async with kept(broker) as (keepalive, agent):
        broker.limits.boxed_until = broker.clock.now() + PENALTY_S
        refused = await agent.get(QUESTIONS[1][1])
        await asyncio.sleep(400)
        assert keepalive.keeper.status().state.value == "starting"
        refused = await agent.get(QUESTIONS[1][1])
        broker.session.touch(broker.clock.now())
        await asyncio.sleep(error_of(refused)["retry_after_s"] + 0.5)
        broker.session.touch(broker.clock.now())
        answer = await agent.get(QUESTIONS[1][1])
        assert answer.status_code == 200, answer.text
