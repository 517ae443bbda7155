"""As much load as the guard lets through, over a network and from a process that are late at random."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from random import Random

import httpx

from ib_keepalive.app import Keepalive
from ib_simulator.faults.faults import FaultSpec
from ibkr.session import SessionState
from support.keepalive import settings
from support.serve import InProcess
from support.simulated import simulated

AGENTS = 12
# IBKR's side receives a request up to this much later than it was sent.
_LATE_S = 0.6


@dataclass(frozen=True)
class Load:
    """``refused``: 429s of IBKR; ``answered``: good answers to agents."""

    refused: int
    answered: int


class Stalling(httpx.AsyncBaseTransport):
    """Nothing is sent or read while the process stands still."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._goes_on.wait()
        response = await self._inner.handle_async_request(request)
        await self._goes_on.wait()
        return response

    async def stall(self, seconds: float) -> None:
        self._goes_on.clear()
        await asyncio.sleep(seconds)
        self._goes_on.set()


async def full_load(*, seed: int, seconds: float) -> Load:
    """Agents that ask one new question after the other for so many (virtual) seconds."""
    random, loop = Random(seed), asyncio.get_running_loop()
    broker = simulated(FaultSpec(kind="receive_delay", seconds=_LATE_S))
    way = Stalling(InProcess(broker.app))
    keepalive = Keepalive(settings(maintenance_hours=False), way, wall=broker.clock.now)
    answered = 0
    ends = loop.time() + seconds

    async def agent(client: httpx.AsyncClient, name: str) -> None:
        nonlocal answered
        for number in itertools.count():
            if loop.time() >= ends:
                return
            caller = {"ib-caller": name, "ib-deadline-ms": "8000"}
            reply = await client.get(f"/portfolio/DU7420001/ledger?n={name}.{number}", headers=caller)
            answered += reply.status_code == 200
            if reply.status_code != 200:
                await asyncio.sleep(float(reply.headers.get("retry-after", "1")))

    async def stalls() -> None:
        while loop.time() < ends:
            await asyncio.sleep(random.uniform(1, 20))
            await way.stall(random.uniform(0.1, 2.5))

    async with keepalive:
        while keepalive.keeper.status().state is not SessionState.AUTHENTICATED:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.5)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(keepalive.data),
            base_url="http://guard.test/v1/api",
            headers={"Authorization": "Bearer token-of-tests"},
            timeout=None,
        ) as client:
            await asyncio.gather(stalls(), *(agent(client, str(number)) for number in range(AGENTS)))
    return Load(broker.limits.refused, answered)
