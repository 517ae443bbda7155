"""By what agents and the owner get in, as the settings say."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from fastmcp.server.auth import AuthProvider
from starlette.middleware import Middleware

from ib_mcp.auth.documents import fetch_json
from ib_mcp.auth.external import EitherBackend, TrustedProxies
from ib_mcp.auth.issuer import Issuer, IssuerKeys, People
from ib_mcp.auth.token_folder import TokenFolder
from ib_mcp.auth.verifier import HashedBearer, StaticTokens
from ib_mcp.oauth.client_documents import ClientDocuments
from ib_mcp.oauth.identity_provider import IdentityProvider
from ib_mcp.oauth.owner_session import OwnerSession
from ib_mcp.oauth.passphrase import Passphrase
from ib_mcp.oauth.place import Place
from ib_mcp.oauth.provider import OwnerOAuth
from ib_mcp.oauth.routes import resource_documents
from ib_mcp.oauth.sign_in import PATH, SignIn
from ib_mcp.oauth.store import Store, in_database, in_file
from ib_mcp.settings import HttpSettings


@dataclass(frozen=True, slots=True)
class WaysIn:
    """``bearer``: who knows tokens; ``oauth`` and ``sign_in``: where agents are let in here; ``tokens``: named ones."""

    place: Place | None = None
    bearer: AuthProvider | None = None
    oauth: OwnerOAuth | None = None
    sign_in: SignIn | None = None
    tokens: StaticTokens | None = None

    @classmethod
    def of(cls, settings: HttpSettings) -> WaysIn:
        """StoreFailed when the file of OAuth cannot be used."""
        place = _place(settings)
        if settings.no_auth:
            return cls(place)
        folder = None if settings.tokens_dir is None else TokenFolder(settings.tokens_dir)
        tokens = StaticTokens(settings.token_lines, folder)
        keys = IssuerKeys(settings.issuer, fetch_json, time.time, time.monotonic) if settings.issuer else None
        issuer = _issuer(settings, place, keys)
        if place is None or not settings.has_oauth:
            documents = resource_documents(place) if place is not None and place.issuers else []
            bearer = HashedBearer(tokens, issuer, None if place is None else place.base, documents)
            return cls(place, _with_proxies(bearer, settings), tokens=tokens)
        store = _store(settings)
        oauth = OwnerOAuth(
            place, store, tokens, issuer, ClientDocuments(time.monotonic) if settings.client_documents else None
        )
        return cls(place, _with_proxies(oauth, settings), oauth, _sign_in(settings, place, store, keys), tokens)


def _place(settings: HttpSettings) -> Place | None:
    if settings.public_url is None:
        return None
    # Where the provider only signs the owner in, agents are let in here.
    others = (settings.issuer,) if settings.issuer and not settings.sign_in_client else ()
    return Place(settings.public_url, settings.offered_scopes, settings.has_oauth, others)


def _people(settings: HttpSettings) -> People:
    return People(frozenset(settings.issuer_users))


def _issuer(settings: HttpSettings, place: Place | None, keys: IssuerKeys | None) -> Issuer | None:
    if keys is None or place is None:
        return None
    audiences = [settings.issuer_audience] if settings.issuer_audience else [place.resource, place.resource + "/"]
    return Issuer(keys, audiences, _people(settings))


def _store(settings: HttpSettings) -> Store:
    if settings.oauth_database is not None:
        return in_database(settings.oauth_database.get_secret_value(), time.time)
    assert settings.oauth_store is not None
    return in_file(settings.oauth_store, time.time)


def _sign_in(settings: HttpSettings, place: Place, store: Store, keys: IssuerKeys | None) -> SignIn:
    secret = "" if settings.passphrase is None else settings.passphrase.get_secret_value()
    client = settings.sign_in_client or ""
    provider = None
    if keys is not None and client:
        own = None if settings.sign_in_secret is None else settings.sign_in_secret.get_secret_value()
        provider = IdentityProvider(keys, _people(settings), client, own, place.base + PATH)
    session = OwnerSession(place.origin, store, f"{secret}\0{settings.issuer}\0{client}")
    return SignIn(place, store, session, Passphrase(secret, store) if secret else None, provider)


def _with_proxies(bearer: AuthProvider, settings: HttpSettings) -> AuthProvider:
    """``bearer``, which also lets in whom a trusted proxy names."""
    if settings.trusted_proxies:
        people = People(frozenset(settings.external_users))
        proxies = TrustedProxies(settings.trusted_proxies, people, settings.external_scopes)
        made = bearer.get_middleware

        def get_middleware() -> list[Any]:
            first, *rest = made()
            return [Middleware(first.cls, backend=EitherBackend(first.kwargs["backend"], proxies)), *rest]

        bearer.get_middleware = get_middleware  # type: ignore[method-assign]
    return bearer
