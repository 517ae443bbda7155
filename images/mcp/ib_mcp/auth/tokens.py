"""The tokens that agents show, and what each may do."""

from __future__ import annotations

import hashlib
import re

READ, WRITE, TRADE = "ibkr:read", "ibkr:write", "ibkr:trade"

# Whoever reaches the port may try as many as a connection carries.
SHORTEST = 16
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")


def parse(lines: str) -> dict[bytes, list[str]]:
    """Scopes by SHA-256 digest. A line is a token or ``sha256:`` and its digest, then scopes; none means reading.

    ValueError, without the token, for a line that is written otherwise.
    """
    return dict(_entry(line) for line in lines.splitlines() if line.strip())


def _entry(line: str) -> tuple[bytes, list[str]]:
    token, *scopes = line.split()
    if not {READ, WRITE, TRADE}.issuperset(scopes):
        raise ValueError(f"holds a line with something that is no scope; write TOKEN {READ} {WRITE} {TRADE}")
    if not token.startswith("sha256:"):
        if len(token) < SHORTEST:
            raise ValueError(f"holds a token of less than {SHORTEST} characters; make one with: openssl rand -hex 32")
        return hashlib.sha256(token.encode()).digest(), scopes or [READ]
    digest = _DIGEST.fullmatch(token)
    if digest is None:
        raise ValueError("holds a digest that is not sha256: and 64 hexadecimal digits")
    return bytes.fromhex(digest[1]), scopes or [READ]
