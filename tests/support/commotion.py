"""The whole of sharing under commotion: users who sign in over each other, a gateway in trouble, agents of all kinds.

Every answer of the guard is held against what the simulator answered to the present sign-in, at the age that it says.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import httpx

from ib_keepalive.app import Keepalive
from ib_simulator.answers.snapshot import lines_of
from ib_simulator.faults.faults import FaultSpec
from ib_simulator.world.accounts import UserKey
from support.keepalive import settings
from support.records import Recorded
from support.serve import InProcess
from support.simulated import simulated, stocks_of
from support.simulator import Asker

USERS: tuple[UserKey, ...] = ("paper", "live")
INSTRUMENTS = 150
_DEADLINES_S = (0.5, 1, 2, 4, 8, 8, 15, 20, 30, 60)
_TROUBLES = ("sign_in", "sign_in", "hang", "crash", "slow", "stray_401", "lost", "errors", "accounts_first", "429")
# An agent that waits this long for an answer and gets none for so long, while IBKR answers, starves.
_PATIENT_S, _STARVES_S = 8.0, 300.0


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
        self._broker = simulated()
        self._recorded = Recorded(self._broker)
        self._keepalive = Keepalive(
            settings(maintenance_hours=False, auto_reopen=True), InProcess(self._recorded), wall=self._broker.clock.now
        )
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._user: UserKey = "paper"
        self._well_since = self._loop.time()
        self._is_well = True
        self._instruments = stocks_of(self._broker, INSTRUMENTS)
        self._accounts = {user: self._accounts_of(user) for user in USERS}
        self.findings = Findings()

    def _accounts_of(self, user: UserKey) -> list[str]:
        asker = Asker(user, world=self._broker.backend.worlds[user], now=self._broker.clock.now())
        return [str(row["accountId"]) for row in asker("list_portfolio_accounts")]

    async def run(self, agents: int) -> Findings:
        async with (
            self._keepalive,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(self._keepalive.data),
                base_url="http://guard.test",
                headers={"Authorization": "Bearer token-of-tests"},
                timeout=None,
            ) as client,
        ):
            await asyncio.gather(self._trouble(), *(self._agent(client, number) for number in range(agents)))
            self._broker.faults.remove()
            await asyncio.sleep(120)
            self._check_leaks()
        return self.findings

    # What happens to the gateway

    async def _trouble(self) -> None:
        while self._loop.time() < self._ends - 60:
            await asyncio.sleep(self._random.uniform(60, 900))
            trouble = self._random.choice(_TROUBLES)
            self.findings.troubles[trouble] += 1
            self._is_well = trouble in ("sign_in", "accounts_first", "errors")
            await self._do(trouble)
            self._broker.faults.remove()
            if self._broker.session.user is None:
                self._sign_in(self._user)
            self._is_well, self._well_since = True, self._loop.time()

    async def _do(self, trouble: str) -> None:
        random, faults = self._random, self._broker.faults
        match trouble:
            case "sign_in":
                self._sign_in(random.choice(USERS))
            case "hang":
                faults.add(FaultSpec(kind="hang"))
                await asyncio.sleep(random.uniform(5, 200))
            case "crash":
                faults.add(FaultSpec(kind="refuse"))
                await asyncio.sleep(random.uniform(5, 120))
            case "slow":
                faults.add(FaultSpec(kind="latency", seconds=random.uniform(1, 8)))
                await asyncio.sleep(random.uniform(30, 300))
            case "stray_401":
                faults.add(FaultSpec(kind="answer", status=401, body="", count=random.randint(1, 3)))
                await asyncio.sleep(20)
            case "lost":
                self._broker.session.drop("the commotion")
                await asyncio.sleep(60)
            case "errors":
                faults.add(FaultSpec(kind="answer", status=500, body={"error": "unknown"}, chance=0.3))
                await asyncio.sleep(random.uniform(10, 60))
            case "accounts_first":
                faults.add(FaultSpec(kind="accounts_first", endpoint="get_price_snapshot", count=1))
                await asyncio.sleep(10)
            case "429":
                faults.add(FaultSpec(kind="answer", endpoint="get_ledger", status=429, body={}, count=1))
                await asyncio.sleep(700)

    def _sign_in(self, user: UserKey) -> None:
        """As by the browser through the login port, which tells the keeper of the new cookies and the last page."""
        self._user = user
        self._broker.sign_in(user)
        self._recorded.sign_ins += 1
        self._keepalive.keeper.tracker.note_session_cookie()
        self._keepalive.keeper.tracker.note_signed_in()

    # What agents ask

    async def _agent(self, client: httpx.AsyncClient, number: int) -> None:
        random = Random(self._random.random())
        deadline_s = _DEADLINES_S[number % len(_DEADLINES_S)]
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
                penalty_s = self._keepalive._pacer.penalty_left()
                if error.get("retry_after_s", penalty_s) < penalty_s - 0.1:
                    self.findings.note(f"{now:.0f} agent {number} is not told of the penalty: {reply.text[:120]}")
                starved_s = now - max(answered_at, self._well_since + 120)
                if self._is_well and deadline_s >= _PATIENT_S and starved_s > _STARVES_S:
                    self.findings.note(f"{now:.0f} agent {number} of {deadline_s} s starves: {reply.text[:120]}")
                    # Once is enough of one spell; it would crowd out what else is untrue.
                    answered_at = now

    def _question(self, random: Random) -> str:
        # Now and then about an account of a user who is not signed in any more.
        user = self._user if random.random() < 0.9 else random.choice(USERS)
        account = random.choice(self._accounts[user])
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
        now, sign_in = self._loop.time(), self._recorded.sign_ins
        since = now - int(reply.headers["ib-age-ms"]) / 1000 - 0.001
        if "/marketdata/snapshot" in path:
            for row in reply.json():
                self._check_prices(path, row, since, sign_in)
            return
        if not self._recorded.matches(path, reply.content, since=since, sign_in=sign_in):
            self.findings.note(f"{now:.1f} {path}: not IBKR's answer to this sign-in at that age: {reply.text[:150]}")
        if self._is_falsely_empty(path, reply.json()):
            self.findings.note(f"{now:.1f} {path}: falsely empty: {reply.text[:150]}")

    def _check_prices(self, path: str, row: dict[str, Any], since: float, sign_in: int) -> None:
        values = {name: value for name, value in row.items() if name in ("31", "84", "86")}
        left = dict(values)
        for told in self._recorded.priced(str(row["conidEx"]), since=since, sign_in=sign_in):
            left = {name: value for name, value in left.items() if told.get(name) != value}
            if not left:
                return
        if values:
            self.findings.note(f"{self._loop.time():.1f} {row['conidEx']}: {left} was not a price at that age")

    def _is_falsely_empty(self, path: str, body: Any) -> bool:
        match path.partition("?")[0].split("/")[1:]:
            case ["portfolio", "accounts"]:
                return not body
            case ["portfolio", account, "positions", _]:
                return not body and account in self._accounts[self._user] and bool(self._positions(account))
            case ["iserver", "account", "orders"]:
                return not body.get("orders") and body.get("snapshot") is not True
            case ["iserver", "secdef", "strikes"]:
                return not body.get("call")
        return False

    def _positions(self, account: str) -> Any:
        world = self._broker.backend.worlds[self._user]
        asker = Asker(self._user, world=world, now=self._broker.clock.now())
        return asker("list_positions", path={"accountId": account, "pageId": "0"})

    def _check_leaks(self) -> None:
        note = partial(self.findings.note, most=60)
        guard, pacer = self._keepalive.guard, self._keepalive._pacer
        if guard.busy or pacer.running or pacer.waiting:
            note(f"{guard.busy} requests are under way after everybody left")
        _, memory = guard._sessions.observe()
        if memory.lines.in_use:
            note(f"{memory.lines.in_use} market-data lines are in use by nobody")
        if len(lines_of(self._broker.session.memory)) > 100:
            note("IBKR holds more than a hundred lines")
        if refused := self._broker.limits.refused:
            note(f"IBKR refused {refused} requests with a 429, for {dict(self._broker.limits.breaches)}")


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
