"""The tokens that agents show, and what each may do."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ib_mcp.auth.granted import Grant
from ib_mcp.auth.scopes import READ, SCOPES

# Whoever reaches the port may try as many as a connection carries.
SHORTEST = 16
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,40}")
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_SCOPES = " ".join(SCOPES)


@dataclass(frozen=True, slots=True)
class Token:
    """``expires_at``: seconds of Unix time, or None."""

    digest: bytes
    grant: Grant
    expires_at: int | None = None

    def is_valid(self, now: float) -> bool:
        return self.expires_at is None or now < self.expires_at


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def parse(lines: str, name: str | None = None) -> dict[bytes, Token]:
    """Tokens by SHA-256 digest. ``name``: of those whose line has none.

    A line is a token or ``sha256:`` and its digest, then any of: scopes (none means reading), ``name=NAME``,
    ``accounts=U1,U2`` (none means all), ``expires=2027-01-31T00:00:00Z``. ValueError, without the token, for a line
    that is written otherwise.
    """
    found = [_token(line, name) for line in lines.splitlines() if line.strip()]
    return {token.digest: token for token in found}


def written(token: Token) -> str:
    """The line that ``parse`` reads as ``token``."""
    grant = token.grant
    words = [
        f"sha256:{token.digest.hex()}",
        *(scope for scope in SCOPES if scope in grant.scopes),
        f"name={grant.name}",
    ]
    if grant.accounts is not None:
        words.append(f"accounts={','.join(sorted(grant.accounts))}")
    if token.expires_at is not None:
        words.append(f"expires={datetime.fromtimestamp(token.expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}")
    return " ".join(words) + "\n"


def _token(line: str, name: str | None) -> Token:
    shown, *words = line.split()
    scopes = {word for word in words if "=" not in word}
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not scopes.issubset(SCOPES) or not given.keys() <= {"name", "accounts", "expires"}:
        raise ValueError(f"holds a line with something that is no scope; write TOKEN {_SCOPES}")
    digest = _digest(shown)
    name = given.get("name", name)
    if name is not None and not NAME.fullmatch(name):
        raise ValueError("holds a token whose name is not of small letters, digits, dots and dashes (40 at most)")
    accounts = None
    if "accounts" in given:
        accounts = frozenset(filter(None, given["accounts"].split(",")))
        if not accounts or not all(map(ACCOUNT.fullmatch, accounts)):
            raise ValueError("holds a token with accounts that are not ids separated by commas")
    grant = Grant(
        name or f"token-{digest.hex()[:8]}", frozenset(scopes or {READ}), accounts, is_own_name=name is not None
    )
    return Token(digest, grant, _seconds(given["expires"]) if "expires" in given else None)


def _digest(shown: str) -> bytes:
    if shown.startswith("sha256:"):
        digest = _DIGEST.fullmatch(shown)
        if digest is None:
            raise ValueError("holds a digest that is not sha256: and 64 hexadecimal digits")
        return bytes.fromhex(digest[1])
    if len(shown) < SHORTEST:
        raise ValueError(f"holds a token of less than {SHORTEST} characters; make one with: openssl rand -hex 32")
    return digest_of(shown)


def _seconds(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("holds a token whose end is not written like expires=2027-01-31T00:00:00Z") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
