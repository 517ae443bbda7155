"""Where OAuth's rows lie: a SQLite file for one process and its commands, PostgreSQL for several replicas.

Statements are written once, in what both understand, with ``$1`` for values.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ib_mcp.auth.failures import TokensUnavailable

if TYPE_CHECKING:
    from asyncpg import Pool
    from asyncpg.pool import PoolConnectionProxy

_PARAMETER = re.compile(r"\$(\d+)")
_TIMEOUT_S = 5.0
# The server's own share of the connections that a database has.
_CONNECTIONS = 4
# Two replicas that start at once may not make the same table at once.
_SCHEMA_LOCK = 7236118


class StoreFailed(TokensUnavailable):
    """The rows cannot be read or written now; tokens may be good all the same."""


class Rows(Protocol):
    async def run(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        """The rows that a statement gives. StoreFailed."""
        ...


class Database(Rows, Protocol):
    def transaction(self) -> Any:
        """Within it all of its :class:`Rows` or nothing."""
        ...

    async def close(self) -> None: ...


class Sqlite:
    """StoreFailed when the file cannot be used."""

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self._known: dict[str, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(path, isolation_level=None, timeout=_TIMEOUT_S)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            for statement in schema:
                self._base.execute(statement)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"{path} cannot be used: {error}") from error

    async def run(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        text = self._known.get(statement)
        if text is None:
            text = self._known[statement] = _PARAMETER.sub(r"?\1", statement)
        try:
            return self._base.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Rows]:
        # Nothing in it waits for anything else, so nobody comes in between.
        await self.run("BEGIN IMMEDIATE")
        try:
            yield self
        except BaseException:
            await self.run("ROLLBACK")
            raise
        await self.run("COMMIT")

    async def close(self) -> None:
        self._base.close()


class Postgres:
    """Connects when it is first needed, so that a database that is down keeps nobody from starting."""

    def __init__(self, url: str, schema: Sequence[str]) -> None:
        self._url = url
        self._schema = schema
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def run(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        async with self._failures():
            return _tuples(await (await self._opened()).fetch(statement, *values))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Rows]:
        async with self._failures(), (await self._opened()).acquire() as connection, connection.transaction():
            yield _Within(connection)

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def _opened(self) -> Pool:
        import asyncpg  # only where it is used: it takes memory

        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url, min_size=1, max_size=_CONNECTIONS, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
                )
                try:
                    async with pool.acquire() as connection, connection.transaction():
                        await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
                        for statement in self._schema:
                            await connection.execute(statement)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool

    @asynccontextmanager
    async def _failures(self) -> AsyncIterator[None]:
        import asyncpg

        try:
            yield
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            # Its text may hold the address, never the password.
            raise StoreFailed(f"the database does not serve: {type(error).__name__}") from error


class _Within:
    def __init__(self, connection: PoolConnectionProxy[Any]) -> None:
        self._connection = connection

    async def run(self, statement: str, *values: Any) -> Sequence[Sequence[Any]]:
        return _tuples(await self._connection.fetch(statement, *values))


def _tuples(records: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [tuple(record) for record in records]
