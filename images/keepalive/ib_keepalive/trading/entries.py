"""One request to IBKR that changes orders, as the ledger's tables hold it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ib_keepalive.trading.intent import Kind, OrderIntent
from ib_keepalive.trading.outcome import Outcome, from_json

_TABLE = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    order_id TEXT,
    orders TEXT NOT NULL,
    digest TEXT NOT NULL,
    caller TEXT NOT NULL,
    sign_in INTEGER NOT NULL,
    notional REAL,
    ticket TEXT UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('sending', 'unknown', 'known')),
    outcome TEXT,
    answer BLOB,
    sent_at REAL NOT NULL,
    settled_at REAL,
    looked_up_at REAL
)
"""
_KEYS = """
CREATE TABLE client_order_ids (
    client_order_id TEXT PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE
) WITHOUT ROWID
"""
_INDEX = "CREATE INDEX entries_by_time ON entries (sent_at)"
ENTRIES = (_TABLE, _KEYS, _INDEX)
_COLUMNS = (
    "id, kind, account, order_id, orders, digest, caller, sign_in, notional, ticket, state, outcome, answer,"
    " sent_at, settled_at, looked_up_at"
)

State = Literal["sending", "unknown", "known"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that changes orders. Times are epoch seconds.

    ``state``: ``sending`` until its answer is there, ``unknown`` when that was lost, ``known`` with ``outcome``.
    ``answer``: IBKR's last answer as it came. ``notional``: what it added to that of the day, in the base currency.
    """

    id: int
    kind: Kind
    account: str
    order_id: str | None
    orders: tuple[dict[str, Any], ...]
    digest: str
    caller: str
    sign_in: int
    notional: float | None
    ticket: str | None
    state: State
    outcome: Outcome | None
    answer: bytes | None
    sent_at: float
    settled_at: float | None
    looked_up_at: float | None

    @property
    def client_order_ids(self) -> tuple[str | None, ...]:
        return tuple(order.get("cOID") for order in self.orders)


def unwritten(intent: OrderIntent, sign_in: int) -> Entry:
    """The entry of a cancellation where nothing can be written: it only makes less of what is there."""
    return Entry(
        0, intent.kind, intent.account, intent.order_id, (), digest_of(intent), intent.caller, sign_in, None, None,
        "sending", None, None, 0.0, None, None,
    )  # fmt: skip


def digest_of(intent: OrderIntent) -> str:
    """Two intents with the same want the same of the same account."""
    whole = dump([intent.kind, intent.account, intent.order_id, intent.orders])
    return hashlib.sha256(whole.encode()).hexdigest()


def dump(value: object) -> str:
    """JSON, the same for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def one(connection: sqlite3.Connection, where: str, *values: object) -> Entry:
    """The entry that a condition of SQL names, which is there."""
    return many(connection, where, *values)[0]


def many(connection: sqlite3.Connection, where: str, *values: object) -> list[Entry]:
    """The entries that a condition of SQL names."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM entries WHERE {where}", values)
    return [_read(row) for row in rows]


def _read(row: tuple[Any, ...]) -> Entry:
    number, kind, account, order_id, orders, digest, caller, sign_in, notional, ticket, state, outcome, *rest = row
    return Entry(
        number, kind, account, order_id, tuple(json.loads(orders)), digest, caller, sign_in, notional, ticket,
        state, None if outcome is None else from_json(json.loads(outcome)), *rest,
    )  # fmt: skip


def by_client_order_ids(connection: sqlite3.Connection, names: Sequence[str]) -> Entry | None:
    """The entry that has one of these client order ids."""
    for name in names:
        found = many(connection, "id = (SELECT entry FROM client_order_ids WHERE client_order_id = ?)", name)
        if found:
            return found[0]
    return None


def by_ticket(connection: sqlite3.Connection, ticket: str | None) -> Entry | None:
    """The entry that a ticket was used for."""
    return next(iter(many(connection, "ticket = ?", ticket)), None) if ticket else None
