"""What was sent about orders and what became of it, on disk: written before it leaves, so that nothing is forgotten.

An entry is one request to IBKR that changes orders. Its client order ids are its key: who places under one of them
again gets this entry's outcome.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ib_keepalive.trading.database import Database
from ib_keepalive.trading.entries import ENTRIES, Entry, by_client_order_ids, by_ticket, digest_of, dump, many, one
from ib_keepalive.trading.facts import Usage
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.outcome import Outcome
from ib_keepalive.trading.tickets import TICKETS, Ticket, read_ticket

FILE = "orders.sqlite3"
_VERSION = 1
_KEPT_S = 90 * 86400.0
_MOST_SHOWN = 200
_MINUTE_S, _DAY_S = 60.0, 86400.0

T = TypeVar("T")
# Everything but what surely moved no money; an order that was cancelled may have been filled in part.
_STANDS = "coalesce(json_extract(outcome, '$.outcome'), '') NOT IN ('rejected', 'declined', 'not_placed')"
_UNKNOWN = "state = 'unknown' ORDER BY id"


@dataclass(frozen=True, slots=True)
class Before:
    """What went before an order: ``unknown`` entries, and the ``same`` one, which has one of its client order ids."""

    usage: Usage = field(default_factory=Usage)
    unknown: tuple[Entry, ...] = ()
    same: Entry | None = None


class Registered(Exception):
    """A client order id is in the ledger already, with ``entry``."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(f"entry {entry.id}")
        self.entry = entry


class Ledger:
    """The file ``orders.sqlite3`` in ``directory``. ``wall``: the calendar's clock (epoch seconds)."""

    def __init__(self, directory: Path | None, wall: Callable[[], float], executor: Executor | None = None) -> None:
        path = None if directory is None else directory / FILE
        self._database = Database(path, (*ENTRIES, *TICKETS), _VERSION, self._recover, executor)
        self._wall = wall

    @property
    def problem(self) -> str | None:
        """Why nothing can be written, in one sentence."""
        return self._database.problem

    async def open(self) -> None:
        """Open the file; what an earlier process had sent without an answer is unknown from then on."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def begin(self, intent: OrderIntent, *, sign_in: int, notional: float | None, ticket: str | None) -> Entry:
        """Note what is about to be sent. Registered when one of its client order ids, or its ticket, was used."""
        now = self._wall()

        def write(connection: sqlite3.Connection) -> Entry:
            known = by_client_order_ids(connection, intent.client_order_ids) or by_ticket(connection, ticket)
            if known is not None:
                raise Registered(known)
            made = connection.execute(
                "INSERT INTO entries (kind, account, order_id, orders, digest, caller, sign_in, notional, ticket,"
                " sent_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'sending')",
                (
                    intent.kind, intent.account, intent.order_id, dump(intent.orders), digest_of(intent),
                    intent.caller, sign_in, notional, ticket, now,
                ),
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO client_order_ids VALUES (?, ?)",
                [(name, made.lastrowid) for name in intent.client_order_ids],
            )
            return one(connection, "id = ?", made.lastrowid)

        return await self._database.change(write)

    async def forget(self, entry: Entry) -> None:
        """It was not sent after all."""
        await self._database.change(
            lambda connection: connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
        )

    async def settle(self, entry: Entry, outcome: Outcome, answer: bytes | None = None) -> None:
        """Note what became of it; an outcome that is unknown stays to be looked up."""
        state = "unknown" if outcome.outcome == "outcome_unknown" else "known"
        values = (state, dump(outcome.to_json()), answer, self._wall(), entry.id)
        await self._database.change(
            lambda connection: connection.execute(
                "UPDATE entries SET state = ?, outcome = ?, answer = coalesce(?, answer), settled_at = ? WHERE id = ?",
                values,
            )
        )

    async def note_look_up(self, entry: Entry) -> None:
        """It was looked for and not found."""
        values = (self._wall(), entry.id)
        await self._database.change(
            lambda connection: connection.execute("UPDATE entries SET looked_up_at = ? WHERE id = ?", values),
            synced=False,
        )

    async def unknown(self) -> list[Entry]:
        """The entries whose outcome is not known, oldest first."""
        return await self._database.read(lambda connection: many(connection, _UNKNOWN))

    async def absent_since(self, since: float) -> list[Entry]:
        """The entries that IBKR was found not to know after this epoch second."""
        where = "state = 'known' AND settled_at > ? AND json_extract(outcome, '$.outcome') = 'not_placed'"
        return await self._database.read(lambda connection: many(connection, where, since))

    async def find(self, client_order_id: str) -> Entry | None:
        return await self._database.read(lambda connection: by_client_order_ids(connection, (client_order_id,)))

    async def of_ticket(self, ticket: str) -> Entry | None:
        return await self._database.read(lambda connection: by_ticket(connection, ticket))

    async def get(self, number: int) -> Entry | None:
        return await self._database.read(lambda connection: next(iter(many(connection, "id = ?", number)), None))

    async def newest(self, account: str | None = None) -> list[Entry]:
        """The newest entries, of one account or all."""
        where = "? IS NULL OR account = ?"
        return await self._database.read(
            lambda connection: many(connection, f"{where} ORDER BY id DESC LIMIT {_MOST_SHOWN}", account, account)
        )

    async def sent_since(self, account: str, since: float) -> list[dict[str, Any]]:
        """The tickets that were sent for ``account`` since an epoch second, whatever became of them."""
        where = "account = ? AND sent_at >= ? AND kind IN ('place', 'modify') ORDER BY id"
        entries = await self._database.read(lambda connection: many(connection, where, account, since))
        return [order for entry in entries for order in entry.orders]

    async def usage(self) -> Usage:
        """What was sent in the last minute and day, whatever became of it; the notional without what IBKR refused."""
        return await self._database.read(self._usage())

    def _usage(self) -> Callable[[sqlite3.Connection], Usage]:
        now = self._wall()

        def add(connection: sqlite3.Connection) -> Usage:
            row = connection.execute(
                "SELECT coalesce(sum(CASE WHEN sent_at > ? THEN json_array_length(orders) END), 0),"
                f" coalesce(sum(json_array_length(orders)), 0), coalesce(sum(CASE WHEN {_STANDS} THEN notional END), 0)"
                " FROM entries WHERE kind IN ('place', 'modify') AND sent_at > ?",
                (now - _MINUTE_S, now - _DAY_S),
            ).fetchone()
            return Usage(*row)

        return add

    async def before(self, client_order_ids: Sequence[str]) -> Before:
        """All of it that a new order depends on, in one look."""
        usage = self._usage()
        return await self._database.read(
            lambda connection: Before(
                usage(connection),
                tuple(many(connection, _UNKNOWN)),
                by_client_order_ids(connection, client_order_ids),
            )
        )

    async def aside(self, work: Callable[[], T], *, keep: Ticket | None = None) -> T:
        """The result of ``work``, which waits for the disk, off the event loop and in turn with the ledger.

        ``keep``: a new ticket that is written before it; it outlives this process, not the machine.
        """
        return await self._database.aside(work, after=None if keep is None else keep.write)

    async def keep_ticket(self, ticket: Ticket, *, synced: bool) -> None:
        """Write a ticket as it is now; ``synced`` where a decision must not be lost with the machine."""
        await self._database.change(lambda connection: ticket.write(connection), synced=synced)

    async def ticket(self, ticket: str) -> Ticket | None:
        def look(connection: sqlite3.Connection) -> Ticket | None:
            row = connection.execute("SELECT * FROM tickets WHERE ticket = ?", (ticket,)).fetchone()
            return None if row is None else read_ticket(row)

        return await self._database.read(look)

    async def pending_tickets(self, sign_in: int) -> list[Ticket]:
        """Tickets of a sign-in that wait for a person's decision, and may still get one."""
        now = self._wall()
        return await self._database.read(
            lambda connection: [
                read_ticket(row)
                for row in connection.execute(
                    "SELECT * FROM tickets WHERE decision = 'pending' AND decide_by > ? AND sign_in = ?"
                    " ORDER BY asked_at",
                    (now, sign_in),
                )
            ]
        )

    def _recover(self, connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE entries SET state = 'unknown' WHERE state = 'sending'")
        connection.execute("DELETE FROM entries WHERE state = 'known' AND sent_at < ?", (self._wall() - _KEPT_S,))
        connection.execute("DELETE FROM tickets WHERE made_at < ?", (self._wall() - _DAY_S,))
