"""Bearer tokens of agents, kept as SHA-256 digests."""

from __future__ import annotations

import hashlib
import hmac
import re

from fastmcp.server.auth import AccessToken, TokenVerifier

READ, TRADE = "ibkr:read", "ibkr:trade"


class HashedBearer(TokenVerifier):
    """Accepts the tokens of the TOKEN setting: one per line, then the scopes it has."""

    def __init__(self, lines: str) -> None:
        super().__init__(required_scopes=[READ])
        self._scopes = dict(_entry(line) for line in lines.splitlines() if line.strip())

    async def verify_token(self, token: str) -> AccessToken | None:
        seen = hashlib.sha256(token.encode()).digest()
        for digest, scopes in self._scopes.items():
            if hmac.compare_digest(seen, digest):
                return AccessToken(token=token, client_id=digest.hex()[:8], scopes=scopes)
        return None


def _entry(line: str) -> tuple[bytes, list[str]]:
    token, *scopes = line.split()
    given = re.fullmatch(r"sha256:([0-9a-fA-F]{64})", token)
    digest = bytes.fromhex(given[1]) if given else hashlib.sha256(token.encode()).digest()
    return digest, scopes or [READ]
