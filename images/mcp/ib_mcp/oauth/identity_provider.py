"""The owner's provider, by which the owner signs in: OpenID Connect's code flow with PKCE, state and nonce."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from ib_mcp.auth.documents import NotTold, fetch_json, post_form
from ib_mcp.auth.issuer import IssuerKeys, People


class NotLetIn(Exception):
    """The provider did not sign in anyone whom the owner lets in; the text says why, for the person."""


class IdentityProvider:
    """``client`` and ``secret``: of this server at the provider; without a secret it is a public one there."""

    def __init__(
        self,
        keys: IssuerKeys,
        people: People,
        client: str,
        secret: str | None,
        back: str,
        *,
        post: Callable[..., Awaitable[Any]] = post_form,
        fetch: Callable[..., Awaitable[Any]] = fetch_json,
    ) -> None:
        """``back``: where the provider sends the browser."""
        self._keys = keys
        self._people = people
        self._client = client
        self._secret = secret
        self._back = back
        self._post = post
        self._fetch = fetch
        self.name = urlsplit(keys.url).netloc

    async def start(self, state: str, key: bytes) -> str:
        """Where to send the browser. ``key``: from which nonce and verifier are made; TokensUnavailable."""
        verifier = _derived(key, "verifier", state)
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._back,
            "scope": "openid profile email",
            "state": state,
            "nonce": _derived(key, "nonce", state),
            "code_challenge": _encoded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        endpoint = str((await self._keys.about())["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def finish(self, told: dict[str, str], key: bytes) -> None:
        """``told``: with what the browser came back. NotLetIn; TokensUnavailable while the provider does not answer."""
        about = await self._keys.about()
        if told.get("iss", self._keys.url) != self._keys.url:
            raise NotLetIn("Another provider answered.")
        if "code" not in told:
            raise NotLetIn(f"{self.name} says: {told.get('error_description') or told.get('error') or 'nothing'}"[:300])
        form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": self._back}
        form |= {"code_verifier": _derived(key, "verifier", told["state"])}
        secret = (self._client, self._secret) if self._secret else None
        if secret is None:
            form |= {"client_id": self._client}
        try:
            answer = await self._post(about["token_endpoint"], form, secret)
            claims = await self._keys.claims(str(answer["id_token"]), frozenset({self._client}))
        except (NotTold, KeyError, TypeError):
            raise NotLetIn(f"{self.name} does not take its own code.") from None
        nonce = _derived(key, "nonce", told["state"])
        if claims is None or not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise NotLetIn(f"What {self.name} sent is not for this sign-in.")
        if claims.get("azp", self._client) != self._client:
            raise NotLetIn(f"What {self.name} sent is for another program.")
        if not self._people.has(claims) and not self._people.has(await self._more(about, answer, claims)):
            raise NotLetIn(f"{self.name} signed in somebody whom the owner has not named.")

    async def _more(self, about: dict[str, Any], answer: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
        """What the provider tells of the same person elsewhere; some tell names and groups only there."""
        if "userinfo_endpoint" not in about or not isinstance(answer.get("access_token"), str):
            return {}
        try:
            told = await self._fetch(about["userinfo_endpoint"], answer["access_token"])
        except NotTold:
            return {}
        return told if isinstance(told, dict) and told.get("sub") == claims.get("sub") else {}


def _derived(key: bytes, kind: str, state: str) -> str:
    """Known to whoever has the key alone, so that nothing has to be kept until the browser is back."""
    return _encoded(hmac.digest(key, f"{kind}:{state}".encode(), "sha256"))


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
