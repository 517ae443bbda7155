"""Randomised runs of the order path: agents that want each order once, and everything that can go wrong meanwhile.

What IBKR has in the end is held against what the agents were told.
"""

from __future__ import annotations

import asyncio
from random import Random

from ib_simulator.app import Simulator
from support.order_agents import BEHAVIOURS, SETTLED_S, Agent, Findings, Wish
from support.order_scene import Scene
from support.simulated import simulated

_RUNS_EACH = 50
# What an agent is told of an order that IBKR has, and of one that IBKR has not.
_STANDS = frozenset({"working", "filled", "partly_filled", "cancelled"})
_FALLEN = frozenset({"rejected", "declined", "not_placed"})


class Runs:
    """Runs one after the other against simulators that are made anew now and then: making one is dear."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._broker: Simulator | None = None
        self.findings = Findings()

    async def run(self, number: int) -> None:
        if self._broker is None or not number % _RUNS_EACH:
            self._broker = simulated(limits=False)
        await _Run(f"{self._seed}:{number}", number % _RUNS_EACH, self._broker, self.findings).go()
        # IBKR takes so many working orders of an instrument and no more.
        orders, now = self._broker.backend.worlds["paper"].orders, self._broker.clock.now()
        for order in orders.active(now):
            if not order.is_final:
                orders.end(order, now, "the run is over")


class _Run:
    """One run: a broker, a pod and what happens to them, a few agents."""

    def __init__(self, name: str, place: int, broker: Simulator, findings: Findings) -> None:
        self._name = name
        self._random = random = Random(name)
        self._findings = findings
        self._scene = Scene(broker, random)
        wishes = [
            Wish(f"{name}/{number}", 101 + 3 * place + number, random.choice(BEHAVIOURS))
            for number in range(random.choice((1, 1, 2, 3)))
        ]
        self._agents = [Agent(wish, self._scene, random, findings) for wish in wishes]

    async def go(self) -> None:
        self._findings.runs += 1
        try:
            await self._scene.open()
            at_work = asyncio.gather(*(agent.run() for agent in self._agents))
            await self._trouble()
            await self._scene.calm()
            async with asyncio.timeout(3 * SETTLED_S):
                await at_work
                await self._check()
        except TimeoutError:
            self._findings.note(self._name, "an agent waited for ever")
        finally:
            await self._scene.close()

    async def _trouble(self) -> None:
        random = self._random
        for _ in range(random.choice((1, 1, 2, 3))):
            waits = (0.0, 0.0, 0.01, 0.3, 1.0, random.uniform(0, 30), random.uniform(0, 150))
            await asyncio.sleep(random.choice(waits))
            self._findings.troubles[await self._scene.trouble()] += 1

    async def _check(self) -> None:
        # Changes and cancellations are looked up as well, and what was taken late is there by then.
        await asyncio.sleep(60)
        unknown = await self._unknown()
        ends = asyncio.get_running_loop().time() + 300
        while unknown and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(20)
            unknown = await self._unknown()
        if unknown != 0:
            self._findings.note(self._name, f"{unknown} outcomes stay unknown")
        record = self._scene.broker.orders()
        for wish in (agent.wish for agent in self._agents):
            mine = [row for row in record if row["quantity"] == wish.quantity and not row["parent"]]
            self._findings.orders += len(mine)
            if len(mine) > 1:
                self._findings.note(
                    wish.name,
                    f"{wish.behaviour}: {len(mine)} orders of one wish: {[r['client_order_id'] for r in mine]}",
                )
            if wish.told in _STANDS and not mine:
                self._findings.note(wish.name, f"{wish.behaviour}: told {wish.told}, and IBKR has nothing")
            if wish.told in _FALLEN and mine:
                self._findings.note(
                    wish.name, f"{wish.behaviour}: told {wish.told}, and IBKR has it as {mine[0]['status']}"
                )
            if mine and mine[0]["client_order_id"] not in wish.ids:
                self._findings.note(wish.name, f"{wish.behaviour}: an order under an id that nobody was told")

    async def _unknown(self) -> int | None:
        """How many outcomes are unknown, None without a ledger."""
        status = (await self._scene.call("GET", "/trading/status")).json()
        found: int | None = status["unknown"]
        return found


def show(findings: Findings) -> str:
    """The findings as text."""
    lines = [
        f"{findings.runs} runs, {findings.orders} orders at IBKR, {findings.unknown} outcomes told as unknown,"
        f" {findings.resolved} looked up",
        "outcomes: " + ", ".join(f"{name} {count}" for name, count in findings.outcomes.most_common()),
        "troubles: " + ", ".join(f"{name} {count}" for name, count in findings.troubles.most_common()),
        "agents: " + ", ".join(f"{name} {count}" for name, count in findings.behaviours.most_common()),
        f"wrong: {len(findings.wrong)}",
        *findings.wrong[:20],
    ]
    return "\n".join(lines)
