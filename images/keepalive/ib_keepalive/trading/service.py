"""Trading as the data port serves it: tickets, decisions, stopping and the order calls of IBKR's own API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ib_keepalive.guard import Guard
from ib_keepalive.guard.memory.session_memory import SessionMemory
from ib_keepalive.http.asgi import HttpReply
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.audit import Audit
from ib_keepalive.trading.desk import Desk, FactsReader
from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.exchange import Exchange
from ib_keepalive.trading.fact_finder import FactFinder
from ib_keepalive.trading.flow import OrderFlow
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.ledger import Ledger
from ib_keepalive.trading.look_up import LookUp
from ib_keepalive.trading.outcome import Outcome
from ib_keepalive.trading.policy import PolicyFile
from ib_keepalive.trading.raw import RawOrders
from ib_keepalive.trading.record import OrderRecord
from ib_keepalive.trading.standing import Standing
from ib_keepalive.trading.stop import KillSwitch
from ib_keepalive.trading.what_if import WhatIf
from ib_keepalive.upstream.api_request import ApiRequest
from ib_service.logs import redact_text
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, OperationForbidden
from ibkr.operation import Operation
from ibkr.session import TradingStatus

_ORDERS = frozenset({"place_orders", "modify_order", "cancel_order", "answer_order_question"})
_CANCEL_WITHIN_S = 30.0


class Trading:
    """``open`` it before use. ``directory`` holds ledger, stop and audit; without one nothing is traded.

    ``approval_url``: where people approve orders, or how they come there. ``facts`` reads what the limits have to
    know, by default of IBKR; ``executor``: see ``Database``.
    """

    def __init__(
        self,
        policy: PolicyFile,
        directory: Path | None,
        *,
        guard: Guard,
        operations: Catalogue,
        wall: Callable[[], float],
        approval_url: str | None = None,
        metrics: Metrics | None = None,
        facts: FactsReader | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._directory = directory
        self._approval_url = approval_url
        self._operations = operations
        self._reads = reads = guard.reads
        self._sessions = sessions = guard.sessions
        audit = Audit(directory, wall)
        self._record = OrderRecord(audit, metrics or Metrics())
        self.ledger = Ledger(directory, wall, executor)
        self.switch = KillSwitch(directory, wall)
        self.standing = Standing(policy, self.switch, audit, lambda: self.ledger.problem)
        self._look_up = LookUp(operations, reads, sessions, self.ledger, wall=wall, found=self._record.ended)
        self.flow = OrderFlow(
            operations,
            reads,
            Exchange(guard.client, sessions, SessionMemory.note_trade),
            sessions,
            self.ledger,
            sent=self._record.sent,
            ended=self._record.ended,
            unknown=self._look_up.soon,
        )
        self.desk = Desk(
            self.standing,
            self.ledger,
            self.flow,
            self._record,
            facts or FactFinder(operations, reads, guard.snapshots, sessions, wall, sent_since=self.ledger.sent_since),
            sign_in=self._sign_in,
            session=lambda: guard.refuse(operations["place_orders"]),
            wall=wall,
            approval_url=self._approval_at,
        )
        self._raw = RawOrders(self.desk, self.flow, self.standing)
        self._what_if = WhatIf(operations, reads, guard.snapshots, guard.client, sessions, self.flow.turns)

    @property
    def account_mode(self) -> str:
        """Whether the accounts of the present sign-in are ``paper`` or ``live``; ``unknown`` until IBKR said it."""
        return self._sessions.observe()[0].mode

    def _sign_in(self) -> int:
        return self._sessions.observe()[0].sign_in

    async def preview(self, intent: OrderIntent, summary: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """As the desk previews it. Whether it is paper or live money a person is told by us, whoever previews it."""
        mode = self.account_mode
        shown = {**summary, "is_paper": {"paper": True, "live": False}.get(mode)}
        return {"mode": mode, **await self.desk.preview(intent, shown, caller)}

    async def open(self) -> None:
        """Open the ledger, and look up what was left unknown."""
        await self.ledger.open()
        if self._directory is not None:
            self._look_up.start()

    async def close(self) -> None:
        """End everything; what was sent without an answer is looked up after the next start."""
        await self._look_up.close()
        await self.flow.close()
        await self.ledger.close()

    @property
    def under_way(self) -> int:
        return self.flow.under_way

    def serves(self, endpoint: Operation) -> bool:
        """Whether an operation of IBKR's API is answered by ``answer``."""
        return endpoint.id in _ORDERS or endpoint.effect == "preview"

    async def answer(self, request: ApiRequest, caller: Caller, sign_in: int | None) -> HttpReply:
        """The answer to an order call of IBKR's own API."""
        if request.endpoint.effect == "preview":
            if self.standing.policy().mode == "off":
                raise self.standing.refuse_placing() or OperationForbidden("Trading is off.")
            return HttpReply(200, await self._what_if.ask(request, caller))
        return await self._raw.answer(request, caller, sign_in)

    async def status(self) -> dict[str, Any]:
        """What is permitted and what was done, for whoever may call the data port."""
        policy = self.standing.policy()
        usage = None if self.ledger.problem is not None else await self.ledger.usage()
        today = None if usage is None else {"orders": usage.orders_per_day, "notional": usage.notional_per_day}
        return {
            **self.standing.to_json(),
            "questions": list(policy.questions),
            "limits": policy.limits.model_dump(mode="json"),
            "today": today,
            **await self._counts(),
        }

    async def brief(self) -> TradingStatus:
        """What the owner and the operator have to see, without accounts and amounts."""
        seen = self.standing.to_json()
        del seen["approval"]
        if seen["stopped"] is not None:
            # Anybody's words, who may have named an account.
            seen["stopped"] = {name: _without_accounts(value) for name, value in seen["stopped"].items()}
        asked = [] if self.ledger.problem is not None else await self.ledger.pending_tickets(self._sign_in())
        return TradingStatus(
            **{**seen, **await self._counts()},
            approval_asked_at=max((ticket.asked_at or 0.0 for ticket in asked), default=None),
            approval_url=self._approval_url,
        )

    async def _counts(self) -> dict[str, int | None]:
        if self.ledger.problem is not None:
            return {"unknown": None, "pending_approvals": None}
        return {
            "unknown": len(await self.ledger.unknown()),
            "pending_approvals": len(await self.ledger.pending_tickets(self._sign_in())),
        }

    def _approval_at(self, ticket: str) -> str | None:
        """The page, or how people come there, with that order first."""
        return None if self._approval_url is None else f"{self._approval_url}?ticket={ticket}"

    async def approvals(self) -> list[dict[str, Any]]:
        """Tickets that wait for a person, with all that the person has to see."""
        return [
            {
                "ticket": ticket.ticket,
                "kind": ticket.intent.kind,
                "account": ticket.intent.account,
                "order_id": ticket.intent.order_id,
                "orders": [dict(order) for order in ticket.intent.orders],
                "summary": ticket.summary,
                "caller": ticket.intent.caller,
                "asked_at": ticket.asked_at,
                "decide_by": ticket.decide_by,
            }
            for ticket in await self.ledger.pending_tickets(self._sign_in())
        ]

    async def orders(self, account: str | None, client_order_id: str | None) -> list[dict[str, Any]]:
        """What the ledger knows, newest first; of one that it does not know, what IBKR lists."""
        if client_order_id is None:
            return [_row(entry) for entry in await self.ledger.newest(account)]
        entry = await self.ledger.find(client_order_id)
        if entry is not None:
            return [_row(entry)] if account in (None, entry.account) else []
        found = await self._look_up.find(client_order_id)
        if found is None or account not in (None, found[0]):
            return []
        return [_row_of_other(client_order_id, *found)]

    async def stop(self, by: str, reason: str, *, cancel_orders: bool) -> dict[str, Any]:
        """Stop at once, and cancel every working order where that is wanted."""
        stopped = await self.ledger.aside(lambda: self.switch.stop(by, reason))
        await self.ledger.aside(lambda: self._record.stopped(by, reason, cancel_orders=cancel_orders))
        cancelled = await self._cancel_everything(by) if cancel_orders else []
        return {"stopped": asdict(stopped), "cancelled": cancelled}

    async def start(self, by: str) -> dict[str, Any]:
        """Take a stop away."""
        await self.ledger.aside(self.switch.start)
        await self.ledger.aside(lambda: self._record.started(by))
        return await self.status()

    async def _cancel_everything(self, by: str) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        caller = Caller(by, Deadline(now + _CANCEL_WITHIN_S, now + _CANCEL_WITHIN_S))
        row = self._operations["list_brokerage_accounts"]
        answer, _ = await self._reads.read(ApiRequest(row, row.path), self._sessions.observe()[1], caller)
        accounts = answer.body().get("accounts", [])
        done: list[dict[str, Any]] = []
        for account in (each for each in accounts if each != "All"):
            try:
                ended = await self.desk.cancel_all(account, caller)
                done.append({"account": account, **ended.to_json()})
            except IbError as error:
                done.append({"account": account, **error.envelope()})
        return done


def _without_accounts(value: object) -> object:
    return redact_text(value) if isinstance(value, str) else value


def _row(entry: Entry) -> dict[str, Any]:
    outcome = entry.outcome
    return {
        "kind": entry.kind,
        "account": entry.account,
        "order_id": entry.order_id,
        "client_order_ids": list(entry.client_order_ids),
        "orders": list(entry.orders),
        "caller": entry.caller,
        "notional": entry.notional,
        "state": entry.state,
        "outcome": None if outcome is None else outcome.to_json(),
        "sent_at": entry.sent_at,
        "settled_at": entry.settled_at,
        "looked_up_at": entry.looked_up_at,
    }


def _row_of_other(client_order_id: str, account: str, outcome: Outcome) -> dict[str, Any]:
    """The same of an order that is not this ledger's: another program's, or of a ledger that was lost."""
    told = {"kind": "place", "account": account, "client_order_ids": [client_order_id], "state": "known"}
    unknown = dict.fromkeys(("order_id", "caller", "notional", "sent_at", "settled_at", "looked_up_at"))
    return {**unknown, **told, "orders": [], "outcome": outcome.to_json()}
