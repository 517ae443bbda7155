"""The authorization server: FastMCP's routes on our store, and what a token is good for."""

from __future__ import annotations

import base64
import hmac
import secrets
import string

from fastmcp.server.auth import OAuthProvider
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    RefreshToken,
    RegistrationError,
    TokenError,
)
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.routing import Route

from ib_mcp.auth.granted import Grant, GrantedToken
from ib_mcp.auth.issuer import Issuer
from ib_mcp.auth.scopes import READ
from ib_mcp.auth.verifier import StaticTokens
from ib_mcp.oauth.client_documents import ClientDocuments, ClientUnknown, is_document
from ib_mcp.oauth.clients import Client, register, slug
from ib_mcp.oauth.place import MCP, Place
from ib_mcp.oauth.store import Consent, Store

REQUEST_S = 600.0
_CODE_S = 60.0
_ACCESS_S = 3600.0
# From the last renewal on.
_REFRESH_S = 30 * 86400.0
# So long after its first use a code is refused without taking it for stolen: its client sent it twice.
_CODE_GRACE_S = 10.0
# So long a refresh token renews again, with the same successors: clients share them, and lose answers.
_REFRESH_GRACE_S = 60.0
_MOST_CLIENTS = 200
_UNUSED_S = 86400.0
_LONGEST_STATE = 2048
_VERIFIER = frozenset(string.ascii_letters + string.digits + "-._~")


class OwnerOAuth(OAuthProvider):
    """Knows the owner's own tokens besides those that it issued."""

    def __init__(
        self,
        place: Place,
        store: Store,
        tokens: StaticTokens,
        issuer: Issuer | None = None,
        documents: ClientDocuments | None = None,
    ) -> None:
        """``documents``: of clients that are known by an address, where these are let in."""
        super().__init__(
            base_url=place.issuer,
            required_scopes=[READ],
            client_registration_options=ClientRegistrationOptions(enabled=True),
        )
        self.place = place
        self.store = store
        self._static = tokens
        self._issuer = issuer
        self.documents = documents

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """Only what FastMCP looks for before it names it in challenges; ``ib_mcp.oauth.routes`` serves them all."""
        return [route for path, route in self.library_routes().items() if "oauth-protected-resource" in path]

    def library_routes(self) -> dict[str, Route]:
        return {route.path: route for route in super().get_routes(MCP)}

    # Clients

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        data = await self.store.client(client_id)
        return None if data is None else Client.model_validate_json(data)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        register(client_info)
        data = client_info.model_dump_json(exclude_none=True)
        if not await self.store.add_client(client_info.client_id or "", data, _MOST_CLIENTS, _UNUSED_S):
            raise RegistrationError("invalid_client_metadata", "Too many clients are registered; the owner knows them.")

    async def look_up(self, client_id: str) -> None:
        """Take what the document of a client says now, if it has one. ClientUnknown where it cannot be had."""
        if self.documents is None or not is_document(client_id):
            return
        data = (await self.documents.find(client_id)).model_dump_json(exclude_none=True)
        if not await self.store.put_client(client_id, data, _MOST_CLIENTS, _UNUSED_S):
            raise ClientUnknown("Too many clients are registered; the owner knows them.")

    # Authorization

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        if not self.place.is_meant_by(params.resource):
            raise AuthorizeError("invalid_target", f"The resource of this server is {self.place.resource}.")
        if not 43 <= len(params.code_challenge) <= 128 or not _VERIFIER.issuperset(params.code_challenge):
            raise AuthorizeError("invalid_request", "code_challenge is the BASE64URL of a SHA-256 digest.")
        if len(params.state or "") > _LONGEST_STATE:
            raise AuthorizeError("invalid_request", f"state has at most {_LONGEST_STATE} characters.")
        secret = secrets.token_urlsafe(32)
        asked = {
            "client": client.client_id,
            "client_name": client.client_name,
            "params": params.model_dump(mode="json"),
        }
        await self.store.add_request(secret, asked, REQUEST_S)
        return f"{self.place.issuer}/consent?request={secret}"

    async def approve(
        self, client: str, client_name: str | None, params: AuthorizationParams, scopes: list[str], accounts: list[str]
    ) -> str:
        """A code for what the owner approved."""
        code = secrets.token_urlsafe(32)
        consent = Consent(
            id=secrets.token_hex(8),
            name=slug(client_name, [grant.name for grant, _, _ in await self.store.grants()]),
            client=client,
            scopes=tuple(scopes),
            accounts=tuple(accounts) or None,
            ends=self.store.now() + _REFRESH_S,
        )
        await self.store.add_grant(consent, code, params.model_dump(mode="json"), _CODE_S)
        return code

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        found = await self.store.code(authorization_code)
        grant = await self.store.grant(found[0]) if found else None
        if not found or not grant:
            return None
        params = AuthorizationParams.model_validate(found[1])
        return AuthorizationCode(
            code=authorization_code,
            scopes=list(grant.scopes),
            expires_at=found[2],
            client_id=grant.client,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=self.place.resource,
            subject=grant.id,
        )

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        grant = authorization_code.subject or ""
        used_s = await self.store.take_code(authorization_code.code)
        if used_s is not None:
            if used_s > _CODE_GRACE_S:
                await self.store.revoke(grant)
            raise TokenError("invalid_grant", "The code was used before.")
        return await self._issue(grant, secrets.token_urlsafe(32), authorization_code.scopes)

    # Renewal

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        found = await self.store.refresh(refresh_token)
        grant = await self.store.grant(found[0]) if found else None
        if not found or not grant:
            return None
        return RefreshToken(
            token=refresh_token,
            client_id=grant.client,
            scopes=list(grant.scopes),
            expires_at=int(found[1]),
            resource=self.place.resource,
            subject=grant.id,
        )

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        grant, next_token = refresh_token.subject or "", await self._successor("refresh", refresh_token.token)
        used_s = await self.store.use_refresh(refresh_token.token)
        if used_s is None or used_s > _REFRESH_GRACE_S or await self.store.is_refresh_used(next_token):
            # Whoever holds the next one already has no use for this: it was copied.
            await self.store.revoke(grant)
            raise TokenError("invalid_grant", "The refresh token was used before.")
        return await self._issue(grant, next_token, scopes)

    async def _issue(self, grant: str, refresh: str, scopes: list[str]) -> OAuthToken:
        """The pair that follows from ``refresh``: whoever asks at the same time is answered the same."""
        now = self.store.now()
        access = await self._successor(f"access {' '.join(scopes)}", refresh)
        await self.store.issue(grant, (refresh, now + _REFRESH_S), (access, now + _ACCESS_S), scopes)
        return OAuthToken(
            access_token=access,
            token_type="Bearer",
            expires_in=int(_ACCESS_S),
            scope=" ".join(scopes),
            refresh_token=refresh,
        )

    async def _successor(self, kind: str, token: str) -> str:
        digest = hmac.digest(await self.store.key(), f"{kind}:{token}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    # Use and end

    async def load_access_token(self, token: str) -> GrantedToken | None:
        if (static := self._static.find(token)) is not None:
            return static
        found = await self.store.access(token)
        if found is None:
            return None if self._issuer is None else await self._issuer.find(token)
        consent, scopes, ends = found
        accounts = None if consent.accounts is None else frozenset(consent.accounts)
        return GrantedToken.model_construct(
            token=token,
            client_id=consent.client,
            scopes=scopes,
            expires_at=int(ends),
            resource=self.place.resource,
            subject=consent.id,
            claims={},
            grant=Grant(consent.name, frozenset(scopes), accounts, is_own_name=True),
        )

    async def end(self, token: str, client: str) -> None:
        """Revoke everything that came with ``token``, if it is one of this client's."""
        found = await self.store.refresh(token)
        grant = await self.store.grant(found[0]) if found else None
        if grant is None and (access := await self.store.access(token)):
            grant = access[0]
        if grant is not None and grant.client == client:
            await self.store.revoke(grant.id)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        await self.end(token.token, token.client_id)
