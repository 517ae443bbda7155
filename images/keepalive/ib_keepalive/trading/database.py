"""One SQLite file that this process alone has open, used off the event loop; a change is on the disk when it ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from ibkr.errors import OperationForbidden

log = structlog.get_logger("ib_keepalive.trading")

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# How long an earlier process may still hold the file.
_BUSY_S = 2.0
_NOWHERE = "No directory is set for the ledger and the audit (IB_KEEPALIVE_TRADING_DIR)."


class NotWritten(OperationForbidden):
    """Nothing was changed, and what was not written down is not done."""

    action = "Tell the owner: without its ledger nothing is traded."


class Database:
    """``problem`` says why it cannot be used, None while it can. ``executor``: one thread, by default its own.

    ``take_over`` is done when the file was opened, at the start or as soon as an earlier process lets go of it.
    """

    def __init__(
        self,
        path: Path | None,
        schema: tuple[str, ...],
        version: int,
        take_over: Work[None],
        executor: Executor | None = None,
    ) -> None:
        self._path = path
        self._take_over = take_over
        self._is_closed = False
        self._schema = schema
        self._version = version
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self.problem: str | None = "The order ledger is not open yet." if path is not None else _NOWHERE

    async def open(self) -> None:
        """Open the file or make it; ``problem`` tells whether that went well."""
        if self._path is not None:
            await self._call(self._open)

    async def close(self) -> None:
        if self._path is not None:
            await self._call(self._close)
        self._is_closed = True
        self._executor.shutdown(wait=True)

    async def change(self, work: Work[T], *, synced: bool = True) -> T:
        """The result of ``work`` in one transaction, which is on the disk then; all of it or nothing.

        NotWritten when it could not be written. With ``synced`` False it outlives this process, not the machine.
        """
        return await self._call(lambda: self._change(work, synced=synced))

    async def read(self, work: Work[T]) -> T:
        """The result of ``work``, which changes nothing. NotWritten when the file cannot be read."""
        return await self._call(lambda: self._guarded(work))

    async def aside(self, work: Callable[[], T], *, after: Work[object] | None = None) -> T:
        """The result of other ``work`` that waits for the disk, done ``after`` a change that is not synced."""

        def both() -> T:
            if after is not None:
                self._change(after, synced=False)
            return work()

        return await self._call(both)

    async def _call(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise NotWritten("The order ledger is closed: the guard is stopping.")
        done = asyncio.get_running_loop().run_in_executor(self._executor, work)
        # What was begun ends, whoever waits for it.
        done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(done)

    def _open(self) -> None:
        assert self._path is not None
        try:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            self._fail(error)
            return
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # One sync for each change, of the log; the file itself follows later.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > self._version:
                raise NotWritten(f"it is of version {found}, and this program knows only up to {self._version}")
            faults = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if faults != "ok":
                raise NotWritten("it is damaged")
            connection.execute("BEGIN IMMEDIATE")
            if not found:
                for statement in self._schema:
                    connection.execute(statement)
            # Written also when nothing changes: that the file can be written is found out now, not with an order.
            connection.execute(f"PRAGMA user_version = {self._version}")
            self._take_over(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, NotWritten) as error:
            connection.close()
            self._fail(error)
        else:
            self._connection = connection
            self.problem = None

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _change(self, work: Work[T], *, synced: bool) -> T:
        def whole(connection: sqlite3.Connection) -> T:
            if not synced:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return result
            finally:
                if not synced:
                    connection.execute("PRAGMA synchronous = FULL")

        return self._guarded(whole)

    def _guarded(self, work: Work[T]) -> T:
        connection = self._connection or self._opened_again()
        try:
            result = work(connection)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            self._fail(error)
            raise NotWritten(self.problem or "") from error
        self.problem = None
        return result

    def _opened_again(self) -> sqlite3.Connection:
        if self._path is not None:
            self._open()
        if self._connection is None:
            raise NotWritten(self.problem or "")
        return self._connection

    def _fail(self, error: Exception) -> None:
        reason = str(error)
        if isinstance(error, sqlite3.OperationalError) and "locked" in reason:
            reason = "another process has it open"
        problem = f"The order ledger cannot be used: {reason}."
        if problem != self.problem:
            log.error("the order ledger cannot be used", reason=reason)
        self.problem = problem
