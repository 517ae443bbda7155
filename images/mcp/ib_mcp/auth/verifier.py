"""Bearer tokens of agents, kept as SHA-256 digests."""

from __future__ import annotations

import hashlib
import hmac

from fastmcp.server.auth import AccessToken, TokenVerifier

from ib_mcp.auth import tokens


class HashedBearer(TokenVerifier):
    """Accepts the tokens of the TOKEN setting."""

    def __init__(self, lines: str) -> None:
        super().__init__(required_scopes=[tokens.READ])
        self._scopes = tokens.parse(lines)

    async def verify_token(self, token: str) -> AccessToken | None:
        seen = hashlib.sha256(token.encode()).digest()
        for digest, scopes in self._scopes.items():
            if hmac.compare_digest(seen, digest):
                return AccessToken(token=token, client_id=digest.hex()[:8], scopes=scopes)
        return None
