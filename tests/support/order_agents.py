"""Agents that want each order once and do as they are told.

They send nothing again unless they were told that nothing was sent, or that it does not stand at IBKR.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from support.order_pods import APPROVER, Cut
from support.order_scene import STOCKS, Scene
from support.simulator import PAPER

BEHAVIOURS = (
    "plain", "double_submit", "two_replicas", "server_crash", "replay", "late", "foreign", "impatient", "raw",
    "raw_twice", "modify", "cancel", "bracket",
)  # fmt: skip
# Longer than anything may hold a request back, and than a ticket lives.
SETTLED_S = 900.0


@dataclass
class Findings:
    """``wrong``: what must not be. The counters say what the runs met with."""

    wrong: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    resolved: int = 0
    orders: int = 0
    runs: int = 0

    def note(self, where: str, what: str) -> None:
        if len(self.wrong) < 100:
            self.wrong.append(f"{where}: {what}")


@dataclass(eq=False)
class Wish:
    """One order that an agent wants once. ``quantity`` is what it is known by at IBKR; ``told``: what became of it.

    ``ids``: the client order ids of its attempts.
    """

    name: str
    quantity: int
    behaviour: str
    told: str = ""
    attempts: int = 0
    ids: list[str] = field(default_factory=list)


class Agent:
    """Gets ``wish`` done, as badly behaved as it says."""

    def __init__(self, wish: Wish, scene: Scene, random: Random, findings: Findings) -> None:
        self.wish = wish
        self._scene = scene
        self._random = random
        self._findings = findings
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        self._findings.behaviours[self.wish.behaviour] += 1
        await asyncio.sleep(self._random.choice((0, 0, 0.1, self._random.uniform(0, 20))))
        while not self.wish.told:
            self.wish.attempts += 1
            if self.wish.attempts > 60:
                self._findings.note(self.wish.name, f"{self.wish.behaviour}: 60 attempts and no outcome")
                return
            try:
                outcome = await (self._by_raw() if self.wish.behaviour.startswith("raw") else self._by_ticket())
            except Cut:
                outcome = None
            if outcome is None:
                outcome = await self._settled()
            if outcome == "again":
                await asyncio.sleep(self._random.uniform(1, 30))
                continue
            self.wish.told = outcome
        self._findings.outcomes[self.wish.told] += 1
        if self.wish.told == "working" and self.wish.behaviour in ("modify", "cancel"):
            await self._afterwards()

    async def _by_ticket(self) -> str | None:
        """The outcome, ``again`` when nothing was sent, None when it is not known."""
        tried = len(self.wish.ids)
        body = {"kind": "place", "account": PAPER, "orders": self._orders()}
        answer = await self._scene.call("POST", "/trading/tickets", json=body, headers=_as("anna"))
        if answer.status_code != 200 or answer.json()["ticket"] is None:
            return "again"
        preview = answer.json()
        ticket = preview["ticket"]
        self.wish.ids += preview["client_order_ids"]
        assert len(self.wish.ids) == tried + 1
        match self.wish.behaviour:
            case "late":
                await asyncio.sleep(self._random.choice((5, 60, 119, 125, 200)))
            case "foreign":
                stolen = await self._submit(ticket, "mallory")
                if stolen.status_code == 200:
                    self._findings.note(self.wish.name, "a ticket was taken from somebody else")
            case "double_submit" | "two_replicas":
                both = await asyncio.gather(self._submit(ticket), self._submit(ticket), return_exceptions=True)
                first = next((each for each in both if isinstance(each, httpx.Response)), None)
                if first is None:
                    raise Cut
            case "server_crash":
                sending = asyncio.create_task(self._submit(ticket))
                await asyncio.sleep(self._random.choice((0, 0.001, 0.2, self._random.uniform(0, 20))))
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        deadline = (
            {"ib-deadline-ms": str(self._random.choice((500, 2000)))} if self.wish.behaviour == "impatient" else {}
        )
        for _ in range(4):
            try:
                response = await self._submit(ticket, **deadline)
                break
            except Cut:
                await asyncio.sleep(self._random.uniform(1, 30))
        else:
            return None
        if self.wish.behaviour == "replay" and response.status_code == 200:
            again = await self._submit(ticket)
            if (
                again.status_code == 200
                and again.json()["outcome"] != "approval_needed"
                and not again.json()["repeated"]
            ):
                self._findings.note(self.wish.name, "a ticket was good twice")
        return await self._heard(ticket, response)

    async def _heard(self, ticket: str, response: httpx.Response) -> str | None:
        body = response.json()
        if response.status_code != 200:
            code = body["error"]["code"]
            # The ticket may have been sent by who went away, or before a crash.
            maybe_sent = (
                self.wish.behaviour in ("server_crash", "double_submit", "two_replicas") or self.wish.attempts > 0
            )
            if code == "outcome_unknown":
                return None
            return None if maybe_sent else "again"
        outcome: str = body["outcome"]
        if outcome == "approval_needed":
            person = {"ib-approver": APPROVER}
            decision = {"approve": True, "by": "owner"}
            await self._scene.call("POST", f"/trading/tickets/{ticket}/decision", json=decision, headers=person)
            return await self._heard(ticket, await self._submit(ticket))
        if outcome == "outcome_unknown":
            self._findings.unknown += 1
            return None
        return outcome

    async def _by_raw(self) -> str | None:
        self.wish.ids.append(f"mine-{self.wish.name}-{self.wish.attempts}")
        orders = [{**self._orders()[0], "cOID": self.wish.ids[-1]}]
        path = f"/v1/api/iserver/account/{PAPER}/orders"
        place = self._scene.call("POST", path, json={"orders": orders}, headers=_as("anna"))
        if self.wish.behaviour == "raw_twice":
            twice = self._scene.call("POST", path, json={"orders": orders}, headers=_as("anna"))
            answers = await asyncio.gather(place, twice, return_exceptions=True)
            got = [each for each in answers if isinstance(each, httpx.Response)]
            if not got:
                return None
            response = next((r for r in got if r.status_code == 200 and "messageIds" in r.text), got[0])
        else:
            response = await place
        for _ in range(8):
            if response.status_code != 200:
                return None
            body = response.json()
            if not isinstance(body, list):
                return None
            if "messageIds" not in body[0]:
                return None
            await asyncio.sleep(self._random.choice((0, 0, 0.5, 5, 12)))
            reply = {"confirmed": self._random.random() < 0.9}
            response = await self._scene.call(
                "POST", f"/v1/api/iserver/reply/{body[0]['id']}", json=reply, headers=_as("anna")
            )
        return None

    async def _settled(self) -> str:
        """What became of the last attempt, looked up until it is known; ``again`` when nothing was sent."""
        if not self.wish.ids:
            return "again"
        ended = self._loop.time() + SETTLED_S
        absent_since: float | None = None
        while True:
            try:
                found = await self._scene.call(
                    "GET", f"/trading/orders?client_order_id={self.wish.ids[-1]}", headers=_as("anna")
                )
            except Cut:
                found = None
            if found is not None and found.status_code == 200:
                rows = found.json()["orders"]
                if rows and rows[0]["state"] == "known":
                    self._findings.resolved += 1
                    return str(rows[0]["outcome"]["outcome"])
                if rows:
                    absent_since = None
                elif self._scene.is_calm:
                    # Neither the ledger nor IBKR knows it: it was not sent, or the ledger is lost and it may come late.
                    absent_since = absent_since or self._loop.time()
                    if self._loop.time() - absent_since > 80:
                        return "again"
            if self._scene.is_calm and self._loop.time() > ended:
                self._findings.note(
                    self.wish.name,
                    f"{self.wish.behaviour}: {self.wish.ids[-1]} stays unknown: {found.text if found else 'cut'}",
                )
                return "never known"
            await asyncio.sleep(10)
            if not self._scene.is_calm:
                ended = self._loop.time() + SETTLED_S

    async def _afterwards(self) -> None:
        """Change or cancel it; whatever happens, it stays one order."""
        mine = [row for row in self._scene.broker.orders() if row["quantity"] == self.wish.quantity]
        if not mine:
            return
        number = mine[0]["order_id"]
        order = {**self._orders()[0], "price": self._orders()[0]["price"] - 1}
        path = f"/v1/api/iserver/account/{PAPER}/order/{number}"
        for _ in range(3):
            try:
                if self.wish.behaviour == "modify":
                    await self._scene.call("POST", path, json=order, headers=_as("anna"))
                else:
                    await self._scene.call("DELETE", path, headers=_as("anna"))
            except Cut:
                await asyncio.sleep(10)

    def _orders(self) -> list[dict[str, Any]]:
        conid = STOCKS[self.wish.quantity % len(STOCKS)]
        order = {"conid": conid, "orderType": "LMT", "side": "BUY", "quantity": self.wish.quantity, "price": 100.0,
                 "tif": "GTC"}  # fmt: skip
        if self.wish.behaviour != "bracket":
            return [order]
        name = f"brk-{self.wish.name}-{self.wish.attempts}"
        exits = {**order, "side": "SELL", "parentId": name, "quantity": self.wish.quantity}
        return [{**order, "cOID": name}, {**exits, "price": 900.0}, {**exits, "orderType": "STP", "price": 50.0}]

    async def _submit(self, ticket: str, caller: str = "anna", **headers: str) -> httpx.Response:
        path = f"/trading/tickets/{ticket}/submit"
        return await self._scene.call("POST", path, json={}, headers={**_as(caller), **headers})


def _as(caller: str) -> dict[str, str]:
    return {"ib-caller": caller}
