"""Bearer tokens of agents, kept as SHA-256 digests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache

from fastmcp.server.auth import TokenVerifier
from starlette.routing import Route

from ib_mcp.auth.granted import GrantedToken
from ib_mcp.auth.issuer import Issuer
from ib_mcp.auth.scopes import READ
from ib_mcp.auth.token_folder import TokenFolder
from ib_mcp.auth.tokens import Token, digest_of, parse


class StaticTokens:
    """Those of the TOKEN setting and of a folder. ``wall``: seconds of Unix time now."""

    def __init__(self, lines: str, folder: TokenFolder | None = None, wall: Callable[[], float] = time.time) -> None:
        self._tokens = parse(lines)
        self._folder = folder
        self._wall = wall

    def fixed(self) -> list[Token]:
        """Those of the setting."""
        return list(self._tokens.values())

    def in_folder(self) -> list[Token]:
        return [] if self._folder is None else self._folder.all()

    def revoke(self, name: str) -> bool:
        """Whether the tokens of this name in the folder are gone."""
        return self._folder is not None and self._folder.revoke(name)

    def find(self, token: str) -> GrantedToken | None:
        """What ``token`` grants, unless it is unknown or over."""
        digest = digest_of(token)
        found = self._tokens.get(digest) or (self._folder.find(digest) if self._folder else None)
        return None if found is None or not found.is_valid(self._wall()) else _granted(token, found)


class HashedBearer(TokenVerifier):
    """Accepts ``tokens``, and those of ``issuer`` if there is one."""

    def __init__(
        self,
        tokens: StaticTokens,
        issuer: Issuer | None = None,
        base_url: str | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        """``routes``: of the documents that challenges name, at ``base_url``."""
        super().__init__(base_url=base_url, required_scopes=[READ])
        self._tokens = tokens
        self._issuer = issuer
        self._documents = list(routes)

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        return [*super().get_routes(mcp_path), *self._documents]

    async def verify_token(self, token: str) -> GrantedToken | None:
        found = self._tokens.find(token)
        return await self._issuer.find(token) if found is None and self._issuer else found


# Making one takes as long as all the rest of the check.
@lru_cache(maxsize=256)
def _granted(shown: str, token: Token) -> GrantedToken:
    return GrantedToken.model_construct(
        token=shown,
        client_id=token.grant.name,
        scopes=sorted(token.grant.scopes),
        expires_at=token.expires_at,
        grant=token.grant,
    )
