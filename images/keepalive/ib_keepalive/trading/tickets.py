"""Tickets: a previewed order that may be sent once, for two minutes, by who previewed it, under the same sign-in. Pure.

The ticket itself is a number that cannot be guessed; what it stands for is kept here and never leaves.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ib_keepalive.trading.intent import Kind, OrderIntent
from ibkr.errors import IbError, InvalidRequest, OperationForbidden

VALID_S = 120.0
# How long a person may take; prices, limits and session are looked at again when the order is sent.
DECIDE_S = 600.0
_LETTERS = 22
TICKETS = (
    """
CREATE TABLE tickets (
    ticket TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    order_id TEXT,
    orders TEXT NOT NULL,
    summary TEXT NOT NULL,
    caller TEXT NOT NULL,
    sign_in INTEGER NOT NULL,
    made_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('none', 'pending', 'approved', 'refused')),
    asked_at REAL,
    decide_by REAL,
    decided_by TEXT,
    decided_at REAL
) WITHOUT ROWID
""",
)
_COLUMNS = (
    "ticket, kind, account, order_id, orders, summary, caller, sign_in, made_at, expires_at, decision, asked_at,"
    " decide_by, decided_by, decided_at"
)

Decision = Literal["none", "pending", "approved", "refused"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """``summary``: what the approver is shown, whole. Times are epoch seconds.

    ``decision``: ``none`` until the order is to be sent and a person has to decide first, which may take until
    ``decide_by``.
    """

    ticket: str
    intent: OrderIntent
    summary: Mapping[str, Any]
    sign_in: int
    made_at: float
    expires_at: float
    decision: Decision = "none"
    asked_at: float | None = None
    decide_by: float | None = None
    decided_by: str | None = None
    decided_at: float | None = None

    def is_over(self, now: float) -> bool:
        """Whether it is too late to send it: an order that a person was asked about lives longer."""
        return now >= max(self.expires_at, self.decide_by or 0.0)

    def asking(self, now: float) -> Ticket:
        """The same, waiting for a person."""
        return replace(self, decision="pending", asked_at=now, decide_by=now + DECIDE_S)

    def decided(self, *, approve: bool, by: str, now: float) -> Ticket:
        """The same with a person's word, who may give it before it was asked for."""
        decision: Decision = "approved" if approve else "refused"
        decide_by = self.decide_by or self.expires_at
        return replace(self, decision=decision, decided_by=by, decided_at=now, decide_by=decide_by)

    def write(self, connection: sqlite3.Connection) -> None:
        intent = self.intent
        connection.execute(
            f"INSERT OR REPLACE INTO tickets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.ticket, intent.kind, intent.account, intent.order_id, json.dumps(intent.orders),
                json.dumps(self.summary), intent.caller, self.sign_in, self.made_at, self.expires_at, self.decision,
                self.asked_at, self.decide_by, self.decided_by, self.decided_at,
            ),
        )  # fmt: skip


def make_ticket(intent: OrderIntent, summary: Mapping[str, Any], *, sign_in: int, now: float) -> Ticket:
    """A new ticket for ``intent``, which was just checked."""
    return Ticket(secrets.token_urlsafe(16)[:_LETTERS], intent, summary, sign_in, now, now + VALID_S)


def read_ticket(row: tuple[Any, ...]) -> Ticket:
    """The ticket of a row of the table."""
    ticket, kind, account, order_id, orders, summary, caller, sign_in, *rest = row
    named: Kind = kind
    intent = OrderIntent(named, account, tuple(json.loads(orders)), order_id, caller, sign_in)
    return Ticket(ticket, intent, json.loads(summary), sign_in, *rest)


def refuse_ticket(ticket: Ticket | None, *, caller: str | None, sign_in: int, now: float) -> IbError | None:
    """Why ``ticket`` is not sent; ``caller`` None: whoever it is, may."""
    if ticket is None:
        return InvalidRequest("There is no such ticket.", action="Preview the order again, and submit what that gives.")
    if caller is not None and caller != ticket.intent.caller:
        return OperationForbidden(
            "The ticket is somebody else's.", action="Preview the order, and submit what that gives."
        )
    if sign_in != ticket.sign_in:
        return OperationForbidden(
            "Somebody signed in anew since the order was previewed, and that ends its ticket.",
            action="Preview the order again.",
        )
    if ticket.is_over(now):
        return OperationForbidden("The ticket has expired.", action="Preview the order again.")
    return None
