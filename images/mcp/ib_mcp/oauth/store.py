"""What outlives a restart: clients, requests for consent, codes, grants and their tokens.

Secrets are kept as SHA-256 digests. Each step that must happen once is one statement that only one caller can win.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ib_mcp.auth.tokens import digest_of
from ib_mcp.oauth.database import Database, Postgres, Rows, Sqlite, StoreFailed

__all__ = ["Consent", "Store", "StoreFailed", "in_database", "in_file"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL)",
    "CREATE TABLE IF NOT EXISTS clients (id TEXT PRIMARY KEY, data TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,"
    " used DOUBLE PRECISION)",
    "CREATE TABLE IF NOT EXISTS requests (digest BYTEA PRIMARY KEY, data TEXT NOT NULL, browser BYTEA,"
    " ends DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS grants (id TEXT PRIMARY KEY, name TEXT NOT NULL, client TEXT NOT NULL,"
    " scopes TEXT NOT NULL, accounts TEXT, created DOUBLE PRECISION NOT NULL, used DOUBLE PRECISION NOT NULL,"
    " ends DOUBLE PRECISION NOT NULL, revoked DOUBLE PRECISION)",
    'CREATE TABLE IF NOT EXISTS codes (digest BYTEA PRIMARY KEY, "grant" TEXT NOT NULL, data TEXT NOT NULL,'
    " ends DOUBLE PRECISION NOT NULL, used DOUBLE PRECISION)",
    'CREATE TABLE IF NOT EXISTS refreshes (digest BYTEA PRIMARY KEY, "grant" TEXT NOT NULL,'
    " ends DOUBLE PRECISION NOT NULL, used DOUBLE PRECISION)",
    'CREATE TABLE IF NOT EXISTS accesses (digest BYTEA PRIMARY KEY, "grant" TEXT NOT NULL, scopes TEXT NOT NULL,'
    " ends DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tries (id TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL)",
)
_KEY_BYTES = 32
# A way to another machine with each call would cost more than the rest of the check. So long another replica may take
# what was revoked in this one.
_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 1000
_MOST_REQUESTS = 1000
_CONSENT = "id, name, client, scopes, accounts, ends"


@dataclass(frozen=True, slots=True)
class Consent:
    """What the owner approved, and until when it can be renewed."""

    id: str
    name: str
    client: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...] | None
    ends: float


def in_file(path: Path, wall: Callable[[], float]) -> Store:
    """A store in a SQLite file. StoreFailed when it cannot be used. ``wall``: seconds of Unix time now."""
    return Store(Sqlite(path, _SCHEMA), wall)


def in_database(url: str, wall: Callable[[], float]) -> Store:
    """A store in PostgreSQL, which several replicas share."""
    return Store(Postgres(url, _SCHEMA), wall, _REMEMBERED_S)


class Store:
    """``remembered_s``: how long a token that was found is taken without being looked up again."""

    def __init__(self, base: Database, wall: Callable[[], float], remembered_s: float = 0.0) -> None:
        self.now = wall
        self._remembered_s = remembered_s
        self._remembered: dict[bytes, tuple[float, tuple[Consent, list[str], float]]] = {}
        self._base = base
        self._key: bytes | None = None

    async def key(self) -> bytes:
        """Of this store, for what is signed and derived; the same in every process."""
        if self._key is None:
            fresh = secrets.token_bytes(_KEY_BYTES)
            await self._base.run("INSERT INTO meta VALUES ('key', $1) ON CONFLICT DO NOTHING", fresh)
            ((key,),) = await self._base.run("SELECT value FROM meta WHERE name = 'key'")
            self._key = bytes(key)
        return self._key

    async def close(self) -> None:
        await self._base.close()

    async def _one(self, statement: str, *values: Any) -> Sequence[Any] | None:
        rows = await self._base.run(statement, *values)
        return rows[0] if rows else None

    # Clients

    async def client(self, name: str) -> str | None:
        row = await self._one("SELECT data FROM clients WHERE id = $1", name)
        return None if row is None else str(row[0])

    async def add_client(self, name: str, data: str, most: int, unused_s: float) -> bool:
        """Whether there was room: clients never approved go after ``unused_s``, or when it is full the oldest."""
        now = self.now()
        async with self._base.transaction() as base:
            await base.run("DELETE FROM clients WHERE used IS NULL AND created < $1", now - unused_s)
            ((count,),) = await base.run("SELECT count(*) FROM clients")
            if count >= most:
                oldest = "SELECT id FROM clients WHERE used IS NULL ORDER BY created LIMIT 1"
                if not await base.run(f"DELETE FROM clients WHERE id IN ({oldest}) RETURNING 1"):
                    return False
            await base.run("INSERT INTO clients VALUES ($1, $2, $3, NULL) ON CONFLICT DO NOTHING", name, data, now)
        return True

    async def put_client(self, name: str, data: str, most: int, unused_s: float) -> bool:
        """As ``add_client``; what was known of it is replaced."""
        known = await self._one("UPDATE clients SET data = $1 WHERE id = $2 RETURNING 1", data, name)
        return known is not None or await self.add_client(name, data, most, unused_s)

    # Requests for consent

    async def add_request(self, secret: str, data: dict[str, Any], lasts_s: float) -> None:
        now = self.now()
        await self._base.run("DELETE FROM requests WHERE ends < $1", now)
        for table in ("codes", "refreshes", "accesses"):
            # A day more, in which a replay is still known as one.
            await self._base.run(f"DELETE FROM {table} WHERE ends < $1", now - 86400)
        # Anybody may ask. Those that no browser has opened give way first.
        newest = "SELECT digest FROM requests ORDER BY browser IS NULL, ends DESC LIMIT $1"
        await self._base.run(f"DELETE FROM requests WHERE digest NOT IN ({newest})", _MOST_REQUESTS - 1)
        await self._base.run(
            "INSERT INTO requests VALUES ($1, $2, NULL, $3)", digest_of(secret), json.dumps(data), now + lasts_s
        )

    async def request(self, secret: str) -> dict[str, Any] | None:
        row = await self._one(
            "SELECT data FROM requests WHERE digest = $1 AND ends > $2", digest_of(secret), self.now()
        )
        return None if row is None else dict(json.loads(row[0]))

    async def bind_request(self, secret: str, browser: str) -> bool:
        """Whether the request is of this browser: that of whoever opens it first."""
        digest, mine = digest_of(secret), digest_of(browser)
        await self._base.run("UPDATE requests SET browser = $1 WHERE digest = $2 AND browser IS NULL", mine, digest)
        return await self._one("SELECT 1 FROM requests WHERE digest = $1 AND browser = $2", digest, mine) is not None

    async def take_request(self, secret: str) -> bool:
        """Whether this caller is the one that may answer it."""
        return await self._one("DELETE FROM requests WHERE digest = $1 RETURNING 1", digest_of(secret)) is not None

    # Tries of the passphrase

    async def begin_try(self, most: int, within_s: float) -> tuple[str, float | None]:
        """A name for :meth:`forget_try`, and for how many seconds no more may be tried by anybody, if so."""
        now, name = self.now(), secrets.token_hex(8)
        await self._base.run("DELETE FROM tries WHERE at <= $1 OR at > $2", now - within_s, now + within_s)
        await self._base.run("INSERT INTO tries VALUES ($1, $2)", name, now)
        rows = await self._base.run("SELECT at FROM tries WHERE id <> $1 ORDER BY at", name)
        if len(rows) < most:
            return name, None
        await self.forget_try(name)
        return name, within_s - (now - rows[-most][0])

    async def forget_try(self, name: str) -> None:
        await self._base.run("DELETE FROM tries WHERE id = $1", name)

    # Grants

    async def add_grant(self, consent: Consent, code: str, data: dict[str, Any], code_s: float) -> None:
        now = self.now()
        accounts = None if consent.accounts is None else " ".join(consent.accounts)
        async with self._base.transaction() as base:
            await base.run(
                "INSERT INTO grants VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)",
                *(consent.id, consent.name, consent.client, " ".join(consent.scopes), accounts, now, now, consent.ends),
            )
            await base.run("UPDATE clients SET used = $1 WHERE id = $2", now, consent.client)
            code_row = (digest_of(code), consent.id, json.dumps(data), now + code_s)
            await base.run("INSERT INTO codes VALUES ($1, $2, $3, $4, NULL)", *code_row)

    async def grants(self) -> list[tuple[Consent, float, float]]:
        """All grants that count, with the times of approval and last renewal."""
        rows = await self._base.run(
            f"SELECT {_CONSENT}, created, used FROM grants WHERE revoked IS NULL AND ends > $1 ORDER BY name",
            self.now(),
        )
        return [(_consent(row[:6]), row[6], row[7]) for row in map(tuple, rows)]

    async def grant(self, name: str) -> Consent | None:
        """The grant with this id, while it counts."""
        row = await self._one(
            f"SELECT {_CONSENT} FROM grants WHERE id = $1 AND revoked IS NULL AND ends > $2", name, self.now()
        )
        return None if row is None else _consent(row)

    async def revoke(self, name: str) -> None:
        self._remembered.clear()
        await self._base.run("UPDATE grants SET revoked = $1 WHERE id = $2 AND revoked IS NULL", self.now(), name)

    # Codes

    async def code(self, code: str) -> tuple[str, dict[str, Any], float] | None:
        """Grant, data and end of a code, also of one that was used."""
        row = await self._one('SELECT "grant", data, ends FROM codes WHERE digest = $1', digest_of(code))
        return None if row is None else (row[0], dict(json.loads(row[1])), row[2])

    async def take_code(self, code: str) -> float | None:
        """None for the one caller that may use it; for every other how many seconds ago it was used."""
        digest, now = digest_of(code), self.now()
        if await self._one("UPDATE codes SET used = $1 WHERE digest = $2 AND used IS NULL RETURNING 1", now, digest):
            return None
        row = await self._one("SELECT used FROM codes WHERE digest = $1", digest)
        return float("inf") if row is None or row[0] is None else now - row[0]

    # Tokens

    async def issue(self, grant: str, refresh: tuple[str, float], access: tuple[str, float], scopes: list[str]) -> None:
        """Keep token and end of each, where they are not kept yet; the grant lasts as long as ``refresh``."""
        async with self._base.transaction() as base:
            await _add_tokens(base, grant, refresh, access, scopes)
            await base.run("UPDATE grants SET used = $1, ends = $2 WHERE id = $3", self.now(), refresh[1], grant)

    async def refresh(self, token: str) -> tuple[str, float] | None:
        """Grant and end of a refresh token, also of one that was used."""
        row = await self._one('SELECT "grant", ends FROM refreshes WHERE digest = $1', digest_of(token))
        return None if row is None else (row[0], row[1])

    async def use_refresh(self, token: str) -> float | None:
        """Seconds since it was used first, 0 now; None when there is none."""
        digest, now = digest_of(token), self.now()
        await self._base.run("UPDATE refreshes SET used = $1 WHERE digest = $2 AND used IS NULL", now, digest)
        row = await self._one("SELECT used FROM refreshes WHERE digest = $1", digest)
        return None if row is None else now - row[0]

    async def is_refresh_used(self, token: str) -> bool:
        row = await self._one("SELECT used FROM refreshes WHERE digest = $1", digest_of(token))
        return row is not None and row[0] is not None

    async def access(self, token: str) -> tuple[Consent, list[str], float] | None:
        """Grant, scopes and end of an access token that counts."""
        digest, now = digest_of(token), self.now()
        at, known = self._remembered.get(digest, (0.0, None))
        if known is not None and 0 <= now - at < self._remembered_s and now < known[2]:
            return known
        row = await self._one(
            "SELECT g.id, g.name, g.client, g.scopes, g.accounts, g.ends, a.scopes, a.ends FROM accesses a"
            ' JOIN grants g ON g.id = a."grant" WHERE a.digest = $1 AND a.ends > $2 AND g.revoked IS NULL',
            *(digest, now),
        )
        if row is None:
            return None
        found = (_consent(tuple(row)[:6]), row[6].split(), row[7])
        if self._remembered_s:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = (now, found)
        return found


async def _add_tokens(
    base: Rows, grant: str, refresh: tuple[str, float], access: tuple[str, float], scopes: list[str]
) -> None:
    kept = "ON CONFLICT DO NOTHING"
    await base.run(f"INSERT INTO refreshes VALUES ($1, $2, $3, NULL) {kept}", digest_of(refresh[0]), grant, refresh[1])
    access_row = (digest_of(access[0]), grant, " ".join(scopes), access[1])
    await base.run(f"INSERT INTO accesses VALUES ($1, $2, $3, $4) {kept}", *access_row)


def _consent(row: Sequence[Any]) -> Consent:
    name, shown, client, scopes, accounts, ends = row
    return Consent(
        name, shown, client, tuple(scopes.split()), None if accounts is None else tuple(accounts.split()), ends
    )
