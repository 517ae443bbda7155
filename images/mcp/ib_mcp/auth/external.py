"""Who asks, as a proxy in front says that has signed the person in (forward-auth). Believed by its address alone."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from ib_mcp.auth.granted import Grant, GrantedToken
from ib_mcp.auth.issuer import People

_USERS = (
    ("remote-user", "preferred_username"),
    ("x-forwarded-user", "preferred_username"),
    ("x-auth-request-user", "preferred_username"),
    ("remote-email", "email"),
    ("x-forwarded-email", "email"),
    ("x-auth-request-email", "email"),
)
_GROUPS = ("remote-groups", "x-forwarded-groups", "x-auth-request-groups")
_LONGEST_NAME = 60


class TrustedProxies:
    """``networks``: where they are; ``people``: whom of those whom they name to let in; with ``scopes``."""

    def __init__(self, networks: Iterable[str], people: People, scopes: Iterable[str]) -> None:
        self._networks = [ip_network(one, strict=False) for one in networks]
        self._people = people
        self._scopes = frozenset(scopes)

    def find(self, peer: str, headers: Headers) -> GrantedToken | None:
        """What a request from this address with these headers is granted; None when it is nobody's that counts."""
        if not self._has(peer):
            return None
        claims: dict[str, object] = {}
        for header, claim in _USERS:
            told = headers.getlist(header)
            # Of two one may have come from the person.
            if len(told) > 1:
                return None
            if told and told[0]:
                claims.setdefault(claim, told[0])
        if not claims:
            return None
        names = [name.strip() for header in _GROUPS for told in headers.getlist(header) for name in told.split(",")]
        if not self._people.has(claims | {"groups": names}):
            return None
        name = str(next(iter(claims.values())))[:_LONGEST_NAME]
        return GrantedToken.model_construct(
            token="",
            client_id=name,
            scopes=sorted(self._scopes),
            expires_at=None,
            subject=name,
            claims={},
            grant=Grant(name, self._scopes, is_own_name=True),
        )

    def _has(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class EitherBackend(AuthenticationBackend):
    """A token where one is shown, else what a proxy says."""

    def __init__(self, tokens: AuthenticationBackend, proxies: TrustedProxies) -> None:
        self._tokens = tokens
        self._proxies = proxies

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        if "authorization" in conn.headers or conn.client is None:
            return await self._tokens.authenticate(conn)
        found = self._proxies.find(conn.client.host, conn.headers)
        return None if found is None else (AuthCredentials(found.scopes), AuthenticatedUser(found))
