"""Tokens of the owner's identity provider: JWTs for this server, of people whom the owner lets in."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ib_mcp.auth.failures import TokensUnavailable
from ib_mcp.auth.granted import Grant, GrantedToken
from ib_mcp.auth.scopes import READ, SCOPES

Fetch = Callable[[str], Awaitable[Any]]
"""The JSON at a URL; an exception when it does not come."""

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_KNOWN_S = 3600.0
# A key that is not known yet is asked for, but not by every made-up token.
_AGAIN_S = 30.0
_SKEW_S = 120.0
_LONGEST = 16 * 1024
_USER_CLAIMS = ("sub", "email", "preferred_username")
_GROUP_CLAIMS = ("groups", "roles")


@dataclass(frozen=True, slots=True)
class People:
    """Whom the owner lets in: subjects, mail addresses, user names, ``group:NAME``."""

    names: frozenset[str]

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether ``claims`` are of one of them."""
        told = {str(claims[claim]) for claim in _USER_CLAIMS if claims.get(claim)}
        if claims.get("email_verified") is False:
            told.discard(str(claims.get("email")))
        for claim in _GROUP_CLAIMS:
            if isinstance(groups := claims.get(claim), list):
                told |= {f"group:{group}" for group in groups if isinstance(group, str)}
        return not self.names.isdisjoint(told)


class IssuerKeys:
    """What an issuer publishes, and what its keys have signed. ``clock``: seconds that never go back."""

    def __init__(self, url: str, fetch: Fetch, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        self.url = url
        self._fetch = fetch
        self._wall = wall
        self._clock = clock
        self._about: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._asked_at = float("-inf")

    async def about(self) -> dict[str, Any]:
        """The metadata. TokensUnavailable while it cannot be had."""
        await self._keys_with(None)
        return self._about

    async def claims(self, token: str, audiences: frozenset[str]) -> dict[str, Any] | None:
        """The claims of a token of this issuer that is for one of ``audiences`` now; None for any other.

        TokensUnavailable while the keys cannot be had.
        """
        header = _header(token)
        if header is None or header.get("alg") not in _ALGORITHMS:
            return None
        keys = await self._keys_with(header.get("kid"))
        try:
            claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError):
            return None
        return claims if self._counts(claims, audiences) else None

    def _counts(self, claims: dict[str, Any], audiences: frozenset[str]) -> bool:
        now, ends, begins = self._wall(), claims.get("exp"), claims.get("nbf", 0)
        audience = claims.get("aud")
        named = {audience} if isinstance(audience, str) else set(audience) if isinstance(audience, list) else set()
        return (
            claims.get("iss") == self.url
            and not audiences.isdisjoint(named)
            and isinstance(ends, int | float)
            and now < ends + _SKEW_S
            and isinstance(begins, int | float)
            and begins - _SKEW_S <= now
        )

    async def _keys_with(self, name: Any) -> KeySet:
        age = self._clock() - self._asked_at
        is_known = self._keys is not None and (name is None or any(key.kid == name for key in self._keys.keys))
        if self._keys is None or age >= _KNOWN_S or (not is_known and age >= _AGAIN_S):
            try:
                about = await self._fetch(self.url.rstrip("/") + "/.well-known/openid-configuration")
                if about.get("issuer") != self.url:
                    raise ValueError("it names another issuer")
                self._keys = KeySet.import_key_set(await self._fetch(about["jwks_uri"]))
                self._about, self._asked_at = about, self._clock()
            except Exception as error:
                if self._keys is None:
                    raise TokensUnavailable(f"The keys of {self.url} cannot be had.") from error
                self._asked_at = self._clock() - _KNOWN_S + _AGAIN_S
        return self._keys


class Issuer:
    """Takes the access tokens of an issuer. ``audiences``: how tokens name this server."""

    def __init__(self, keys: IssuerKeys, audiences: Iterable[str], people: People) -> None:
        self._keys = keys
        self._audiences = frozenset(audiences)
        self._people = people

    async def find(self, token: str) -> GrantedToken | None:
        """What ``token`` grants; None for one that is not this issuer's, not for us, over, or of somebody else.

        TokensUnavailable while the issuer's keys cannot be had.
        """
        claims = await self._keys.claims(token, self._audiences)
        return None if claims is None or not self._people.has(claims) else _granted(token, claims)


def _header(token: str) -> dict[str, Any] | None:
    first, *rest = token.split(".")
    if len(rest) != 2 or len(token) > _LONGEST:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _granted(token: str, claims: dict[str, Any]) -> GrantedToken:
    told = claims.get("scope", claims.get("scp", ""))
    words = told if isinstance(told, list) else str(told).split()
    scopes = frozenset({READ, *(scope for scope in SCOPES if scope in words)})
    client = str(claims.get("client_id") or claims.get("azp") or claims.get("sub"))[:60]
    return GrantedToken.model_construct(
        token=token,
        client_id=client,
        scopes=sorted(scopes),
        expires_at=None,
        subject=str(claims.get("sub")),
        claims={"iss": claims["iss"]},
        grant=Grant(client, scopes, is_own_name=True),
    )
