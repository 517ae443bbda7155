"""One gateway in commotion: users who sign in over each other, and trouble of every kind, beside what was true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from ib_keepalive.app import Keepalive
from ib_simulator.answers.snapshot import lines_of
from ib_simulator.faults.faults import FaultSpec
from ib_simulator.world.accounts import UserKey
from support.keepalive import settings
from support.records import Recorded
from support.serve import InProcess
from support.simulated import simulated
from support.simulator import Asker

USERS: tuple[UserKey, ...] = ("paper", "live")
TROUBLES = ("sign_in", "sign_in", "hang", "crash", "slow", "stray_401", "lost", "errors", "accounts_first", "429")
# In these IBKR still answers what it is asked.
_MILD = ("sign_in", "accounts_first", "errors")


class Troubled:
    """A gateway, its keepalive and what happens to them. ``is_well``: IBKR answers; ``well_since`` in loop seconds.

    ``user`` is who signed in last, ``signed_in_at`` when.
    """

    def __init__(
        self, random: Random, user: UserKey = "paper", *, login: str | None = None, record_file: Path | None = None
    ) -> None:
        self.random = random
        self.broker = simulated(signed_in=user)
        self.recorded = Recorded(self.broker)
        self._login, self._record_file = login, record_file
        self.keepalive = self._made()
        self._loop = asyncio.get_running_loop()
        self.user: UserKey = user
        self.is_well = True
        self.well_since = self.signed_in_at = self._loop.time()
        self.accounts = {each: self._accounts_of(each) for each in USERS}

    def _made(self) -> Keepalive:
        given = settings(
            maintenance_hours=False, auto_reopen=True, login_hint=self._login, record_file=self._record_file
        )
        return Keepalive(given, InProcess(self.recorded), wall=self.broker.clock.now)

    def _accounts_of(self, user: UserKey) -> list[str]:
        return [str(row["accountId"]) for row in self._asker(user)("list_portfolio_accounts")]

    def _asker(self, user: UserKey) -> Asker:
        return Asker(user, world=self.broker.backend.worlds[user], now=self.broker.clock.now())

    @property
    def own(self) -> list[str]:
        """The accounts of the present user."""
        return self.accounts[self.user]

    # What happens

    async def suffer(self, trouble: str) -> None:
        """One trouble from its beginning to its end."""
        self.is_well = trouble in _MILD
        await self._do(trouble)
        self.broker.faults.remove()
        if self.broker.session.user is None:
            self.sign_in(self.user)
        self.is_well, self.well_since = True, self._loop.time()

    async def _do(self, trouble: str) -> None:
        random, faults = self.random, self.broker.faults
        match trouble:
            case "sign_in":
                self.sign_in(random.choice(USERS))
            case "signed_out":
                self.broker.session.end("the commotion")
                await asyncio.sleep(random.uniform(30, 600))
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
                self.broker.session.drop("the commotion")
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

    def sign_in(self, user: UserKey) -> None:
        """As by the browser through the login port, which tells the keeper of the new cookies and the last page."""
        self.user, self.signed_in_at = user, self._loop.time()
        self.broker.sign_in(user)
        self.recorded.sign_ins += 1
        self.keepalive.keeper.tracker.note_session_cookie()
        self.keepalive.keeper.tracker.note_signed_in()

    def renew(self) -> None:
        """Another keepalive in place of the present one, which has ended."""
        self.keepalive = self._made()

    # What was true

    def priced(self, row: dict[str, Any], since: float) -> dict[str, Any]:
        """Prices of ``row`` that were none of the present sign-in after ``since``."""
        left = {name: value for name, value in row.items() if name in ("31", "84", "86")}
        for told in self.recorded.priced(str(row["conidEx"]), since=since, sign_in=self.recorded.sign_ins):
            if not left:
                break
            left = {name: value for name, value in left.items() if told.get(name) != value}
        return left

    def is_falsely_empty(self, path: str, body: Any) -> bool:
        """Whether this answer to the present user is empty where something is."""
        match path.partition("?")[0].split("/")[1:]:
            case ["portfolio", "accounts"]:
                return not body
            case ["portfolio", account, "positions", page]:
                asked = {"accountId": account, "pageId": page}
                return not body and account in self.own and bool(self._asker(self.user)("list_positions", path=asked))
            case ["iserver", "account", "orders"]:
                return not body.get("orders") and body.get("snapshot") is not True
            case ["iserver", "secdef", "strikes"]:
                return not body.get("call")
        return False

    def leaks(self) -> Iterator[str]:
        """What is still held after everybody left, and what IBKR refused."""
        guard, pacer = self.keepalive.guard, self.keepalive._pacer
        if guard.busy or pacer.running or pacer.waiting:
            yield f"{guard.busy} requests are under way after everybody left"
        _, memory = guard.sessions.observe()
        if memory.lines.in_use:
            yield f"{memory.lines.in_use} market-data lines are in use by nobody"
        if len(lines_of(self.broker.session.memory)) > 100:
            yield "IBKR holds more than a hundred lines"
        if refused := self.broker.limits.refused:
            yield f"IBKR refused {refused} requests with a 429, for {dict(self.broker.limits.breaches)}"
