"""What outlives a restart: clients, requests for consent, codes, grants and their tokens, in one SQLite file.

Secrets are kept as SHA-256 digests. Each step that must happen once is one statement that only one caller can win.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ib_mcp.auth.failures import TokensUnavailable
from ib_mcp.auth.tokens import digest_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS clients (id TEXT PRIMARY KEY, data TEXT NOT NULL, created REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS requests (digest BLOB PRIMARY KEY, data TEXT NOT NULL, browser BLOB, ends REAL NOT NULL);
CREATE TABLE IF NOT EXISTS grants (id TEXT PRIMARY KEY, name TEXT NOT NULL, client TEXT NOT NULL, scopes TEXT NOT NULL,
  accounts TEXT, created REAL NOT NULL, used REAL NOT NULL, ends REAL NOT NULL, revoked REAL);
CREATE TABLE IF NOT EXISTS codes (digest BLOB PRIMARY KEY, "grant" TEXT NOT NULL, data TEXT NOT NULL,
  ends REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS refreshes (digest BLOB PRIMARY KEY, "grant" TEXT NOT NULL, ends REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS accesses (digest BLOB PRIMARY KEY, "grant" TEXT NOT NULL, scopes TEXT NOT NULL,
  ends REAL NOT NULL);
"""
_KEY_BYTES = 32


class StoreFailed(TokensUnavailable):
    """The file cannot be read or written now; tokens may be good all the same."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the owner approved, and until when it can be renewed."""

    id: str
    name: str
    client: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...] | None
    ends: float


class Store:
    """``wall``: seconds of Unix time now."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        self.now = wall
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(path, isolation_level=None, timeout=5)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_SCHEMA)
            self._base.execute("INSERT OR IGNORE INTO meta VALUES ('key', ?)", (secrets.token_bytes(_KEY_BYTES),))
            (self.key,) = self._base.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"{path} cannot be used: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, and nobody else in between."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error

    # Clients

    def client(self, name: str) -> str | None:
        row = self._run("SELECT data FROM clients WHERE id = ?", name).fetchone()
        return None if row is None else str(row[0])

    def add_client(self, name: str, data: str, most: int, unused_s: float) -> bool:
        """Whether there was room: clients never approved go after ``unused_s``, or when it is full the oldest."""
        now = self.now()
        with self.transaction():
            self._run("DELETE FROM clients WHERE used IS NULL AND created < ?", now - unused_s)
            (count,) = self._run("SELECT count(*) FROM clients").fetchone()
            if count >= most:
                oldest = "SELECT id FROM clients WHERE used IS NULL ORDER BY created LIMIT 1"
                if not self._run(f"DELETE FROM clients WHERE id IN ({oldest})").rowcount:
                    return False
            self._run("INSERT INTO clients VALUES (?, ?, ?, NULL)", name, data, now)
        return True

    def put_client(self, name: str, data: str, most: int, unused_s: float) -> bool:
        """As ``add_client``; what was known of it is replaced."""
        known = self._run("UPDATE clients SET data = ? WHERE id = ?", data, name).rowcount == 1
        return known or self.add_client(name, data, most, unused_s)

    # Requests for consent

    def add_request(self, secret: str, data: dict[str, Any], lasts_s: float) -> None:
        now = self.now()
        for table in ("requests", "codes", "refreshes", "accesses"):
            # A day more, in which a replay is still known as one.
            self._run(f"DELETE FROM {table} WHERE ends < ?", now - 86400)
        self._run("INSERT INTO requests VALUES (?, ?, NULL, ?)", digest_of(secret), json.dumps(data), now + lasts_s)

    def request(self, secret: str) -> dict[str, Any] | None:
        row = self._run(
            "SELECT data FROM requests WHERE digest = ? AND ends > ?", digest_of(secret), self.now()
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def bind_request(self, secret: str, browser: str) -> bool:
        """Whether the request is of this browser: that of whoever opens it first."""
        digest, mine = digest_of(secret), digest_of(browser)
        self._run("UPDATE requests SET browser = ? WHERE digest = ? AND browser IS NULL", mine, digest)
        return self._run("SELECT 1 FROM requests WHERE digest = ? AND browser = ?", digest, mine).fetchone() is not None

    def take_request(self, secret: str) -> bool:
        """Whether this caller is the one that may answer it."""
        return self._run("DELETE FROM requests WHERE digest = ?", digest_of(secret)).rowcount == 1

    # Grants

    def add_grant(self, consent: Consent, code: str, data: dict[str, Any], code_s: float) -> None:
        now = self.now()
        accounts = None if consent.accounts is None else " ".join(consent.accounts)
        with self.transaction():
            self._run(
                "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                *(consent.id, consent.name, consent.client, " ".join(consent.scopes), accounts, now, now, consent.ends),
            )
            self._run("UPDATE clients SET used = ? WHERE id = ?", now, consent.client)
            code_row = (digest_of(code), consent.id, json.dumps(data), now + code_s)
            self._run("INSERT INTO codes VALUES (?, ?, ?, ?, NULL)", *code_row)

    def grants(self) -> list[tuple[Consent, float, float]]:
        """All grants that count, with the times of approval and last renewal."""
        rows = self._run(
            "SELECT id, name, client, scopes, accounts, ends, created, used FROM grants"
            " WHERE revoked IS NULL AND ends > ? ORDER BY name",
            self.now(),
        )
        return [(_consent(row[:6]), row[6], row[7]) for row in rows]

    def grant(self, name: str) -> Consent | None:
        """The grant with this id, while it counts."""
        row = self._run(
            "SELECT id, name, client, scopes, accounts, ends FROM grants WHERE id = ? AND revoked IS NULL AND ends > ?",
            *(name, self.now()),
        ).fetchone()
        return None if row is None else _consent(row)

    def revoke(self, name: str) -> None:
        self._run("UPDATE grants SET revoked = ? WHERE id = ? AND revoked IS NULL", self.now(), name)

    def renew(self, name: str, ends: float) -> None:
        self._run("UPDATE grants SET used = ?, ends = ? WHERE id = ?", self.now(), ends, name)

    # Codes

    def code(self, code: str) -> tuple[str, dict[str, Any], float] | None:
        """Grant, data and end of a code, also of one that was used."""
        row = self._run('SELECT "grant", data, ends FROM codes WHERE digest = ?', digest_of(code)).fetchone()
        return None if row is None else (row[0], dict(json.loads(row[1])), row[2])

    def take_code(self, code: str) -> float | None:
        """None for the one caller that may use it; for every other how many seconds ago it was used."""
        digest, now = digest_of(code), self.now()
        if self._run("UPDATE codes SET used = ? WHERE digest = ? AND used IS NULL", now, digest).rowcount == 1:
            return None
        row = self._run("SELECT used FROM codes WHERE digest = ?", digest).fetchone()
        return float("inf") if row is None or row[0] is None else now - row[0]

    # Tokens

    def add_tokens(self, grant: str, refresh: tuple[str, float], access: tuple[str, float], scopes: list[str]) -> None:
        """Token and end of each; those that are there stay."""
        self._run("INSERT OR IGNORE INTO refreshes VALUES (?, ?, ?, NULL)", digest_of(refresh[0]), grant, refresh[1])
        self._run(
            "INSERT OR IGNORE INTO accesses VALUES (?, ?, ?, ?)",
            *(digest_of(access[0]), grant, " ".join(scopes), access[1]),
        )

    def refresh(self, token: str) -> tuple[str, float] | None:
        """Grant and end of a refresh token, also of one that was used."""
        row = self._run('SELECT "grant", ends FROM refreshes WHERE digest = ?', digest_of(token)).fetchone()
        return None if row is None else (row[0], row[1])

    def use_refresh(self, token: str) -> float | None:
        """Seconds since it was used first, 0 now; None when there is none."""
        digest, now = digest_of(token), self.now()
        self._run("UPDATE refreshes SET used = ? WHERE digest = ? AND used IS NULL", now, digest)
        row = self._run("SELECT used FROM refreshes WHERE digest = ?", digest).fetchone()
        return None if row is None else now - row[0]

    def is_refresh_used(self, token: str) -> bool:
        row = self._run("SELECT used FROM refreshes WHERE digest = ?", digest_of(token)).fetchone()
        return row is not None and row[0] is not None

    def access(self, token: str) -> tuple[Consent, list[str], float] | None:
        """Grant, scopes and end of an access token that counts."""
        row = self._run(
            "SELECT g.id, g.name, g.client, g.scopes, g.accounts, g.ends, a.scopes, a.ends FROM accesses a"
            ' JOIN grants g ON g.id = a."grant" WHERE a.digest = ? AND a.ends > ? AND g.revoked IS NULL',
            *(digest_of(token), self.now()),
        ).fetchone()
        return None if row is None else (_consent(row[:6]), row[6].split(), row[7])


def _consent(row: tuple[Any, ...]) -> Consent:
    name, shown, client, scopes, accounts, ends = row
    return Consent(
        name, shown, client, tuple(scopes.split()), None if accounts is None else tuple(accounts.split()), ends
    )
