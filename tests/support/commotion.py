"""The whole of sharing under commotion: users who sign in over each other, a gateway in trouble, agents of all kinds.

Every answer of the guard is held against what the simulator answered to the present sign-in, at the age that it says.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import httpx

from support.simulated import stocks_of
from support.troubled import TROUBLES, USERS, Troubled

INSTRUMENTS = 150
DEADLINES_S = (0.5, 1, 2, 4, 8, 8, 15, 20, 30, 60)
# An agent that waits this long for an answer and gets none for so long, while IBKR answers, starves.
PATIENT_S, STARVES_S = 8.0, 300.0


@dataclass
class Findings:
    """``wrong``: by kind, examples of what was untrue; ``answers`` and ``refusals`` by kind."""

    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, *, most: int = 50) -> None:
        if len(self.wrong) < most:
            self.wrong.append(what)


class Commotion:
    """One gateway with its keepalive and its agents, for ``seconds`` of virtual time."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._random = Random(seed)
        self._gateway = Troubled(self._random)
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._instruments = stocks_of(self._gateway.broker, INSTRUMENTS)
        self.findings = Findings()

    async def run(self, agents: int) -> Findings:
        keepalive = self._gateway.keepalive
        async with (
            keepalive,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(keepalive.data),
                base_url="http://guard.test",
                headers={"Authorization": "Bearer token-of-tests"},
                timeout=None,
            ) as client,
        ):
            await asyncio.gather(self._trouble(), *(self._agent(client, number) for number in range(agents)))
            self._gateway.broker.faults.remove()
            await asyncio.sleep(120)
            for leak in self._gateway.leaks():
                self.findings.note(leak, most=60)
        return self.findings

    async def _trouble(self) -> None:
        while self._loop.time() < self._ends - 60:
            await asyncio.sleep(self._random.uniform(60, 900))
            trouble = self._random.choice(TROUBLES)
            self.findings.troubles[trouble] += 1
            await self._gateway.suffer(trouble)

    # What agents ask

    async def _agent(self, client: httpx.AsyncClient, number: int) -> None:
        random = Random(self._random.random())
        deadline_s = DEADLINES_S[number % len(DEADLINES_S)]
        answered_at = self._loop.time()
        for _ in itertools.count():
            await asyncio.sleep(random.expovariate(1 / 20))
            if self._loop.time() >= self._ends:
                return
            path = self._question(random)
            asked_at = self._loop.time()
            caller = {"ib-caller": str(number), "ib-deadline-ms": str(int(deadline_s * 1000))}
            reply = await client.get(f"/v1/api{path}", headers=caller)
            now = self._loop.time()
            if now - asked_at > deadline_s + 0.5:
                self.findings.note(f"{path} took {now - asked_at:.1f} s of {deadline_s} s")
            if reply.status_code == 200:
                answered_at = now
                self._check(path, reply)
            else:
                error = reply.json()["error"]
                self.findings.refusals[error["code"]] += 1
                penalty_s = self._gateway.keepalive._pacer.penalty_left()
                if error.get("retry_after_s", penalty_s) < penalty_s - 0.1:
                    self.findings.note(f"{now:.0f} agent {number} is not told of the penalty: {reply.text[:120]}")
                starved_s = now - max(answered_at, self._gateway.well_since + 120)
                if self._gateway.is_well and deadline_s >= PATIENT_S and starved_s > STARVES_S:
                    self.findings.note(f"{now:.0f} agent {number} of {deadline_s} s starves: {reply.text[:120]}")
                    # Once is enough of one spell; it would crowd out what else is untrue.
                    answered_at = now

    def _question(self, random: Random) -> str:
        # Now and then about an account of a user who is not signed in any more.
        user = self._gateway.user if random.random() < 0.9 else random.choice(USERS)
        account = random.choice(self._gateway.accounts[user])
        conids = random.sample(self._instruments, random.choice((1, 1, 3, 10, 40)))
        return random.choice(
            (
                "/portfolio/accounts",
                f"/portfolio/{account}/positions/0",
                f"/portfolio/{account}/ledger",
                f"/portfolio/{account}/summary",
                "/iserver/accounts",
                "/iserver/account/orders",
                "/iserver/account/trades",
                "/iserver/secdef/strikes?conid=265598&sectype=OPT&month=DEC26",
                f"/iserver/marketdata/history?conid={conids[0].partition('@')[0]}&period=1d&bar=1h",
                *[f"/iserver/marketdata/snapshot?conids={','.join(conids)}&fields=31,84,86"] * 4,
            )
        )

    # Whether it is true

    def _check(self, path: str, reply: httpx.Response) -> None:
        self.findings.answers[path.partition("?")[0].split("/")[-1]] += 1
        gateway, now = self._gateway, self._loop.time()
        since = now - int(reply.headers["ib-age-ms"]) / 1000 - 0.001
        if "/marketdata/snapshot" in path:
            for row in reply.json():
                if untrue := gateway.priced(row, since):
                    self.findings.note(f"{now:.1f} {row['conidEx']}: {untrue} was not a price at that age")
            return
        sign_in = gateway.recorded.sign_ins
        if not any(reply.content == told for told in gateway.recorded.told(path, since=since, sign_in=sign_in)):
            self.findings.note(f"{now:.1f} {path}: not IBKR's answer to this sign-in at that age: {reply.text[:150]}")
        if gateway.is_falsely_empty(path, reply.json()):
            self.findings.note(f"{now:.1f} {path}: falsely empty: {reply.text[:150]}")


def show(findings: Findings) -> str:
    """As JSON for people."""
    return json.dumps(
        {
            "answers": dict(findings.answers),
            "refusals": dict(findings.refusals),
            "troubles": dict(findings.troubles),
            "wrong": findings.wrong,
        },
        indent=2,
    )
