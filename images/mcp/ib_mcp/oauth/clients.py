"""What agents may register as, and which of their later wishes fit that."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl

from ib_mcp.auth.scopes import READ, SCOPES
from ib_mcp.oauth.addresses import LOOPBACK

_MOST_URIS = 10
_LONGEST_URI = 2048
_LONGEST_NAME = 100
# Such pages are run, not called.
_NO_CALLBACKS = frozenset(
    {"javascript", "data", "file", "blob", "about", "vbscript", "ws", "wss", "ftp", "view-source"}
)


class Client(OAuthClientInformationFull):
    """A public client (PKCE in place of a secret)."""

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """As registered; the port of a loopback address may be another (RFC 8252)."""
        if redirect_uri is not None and any(_same(str(redirect_uri), str(own)) for own in self.redirect_uris or ()):
            return redirect_uri
        if redirect_uri is None and len(self.redirect_uris or ()) == 1:
            return (self.redirect_uris or [])[0]
        raise InvalidRedirectUriError("The redirect URI is not one that this client has registered.")

    def validate_scope(self, requested_scope: str | None) -> list[str] | None:
        """Those that there are, of what was asked for; reading always. Others (openid, offline_access) are no harm."""
        asked = (requested_scope or "").split()
        return [scope for scope in SCOPES if scope in asked or scope == READ]


def register(client: OAuthClientInformationFull) -> None:
    """Make what was sent a public client. RegistrationError for what no honest agent would send."""
    uris = [str(uri) for uri in client.redirect_uris or ()]
    if not uris or len(uris) > _MOST_URIS:
        raise RegistrationError("invalid_redirect_uri", f"Give one to {_MOST_URIS} redirect URIs.")
    for uri in uris:
        if problem := _wrong(uri):
            raise RegistrationError("invalid_redirect_uri", problem)
    if len(client.client_name or "") > _LONGEST_NAME:
        raise RegistrationError("invalid_client_metadata", f"client_name has at most {_LONGEST_NAME} characters.")
    client.token_endpoint_auth_method = "none"
    client.client_secret = None
    client.client_secret_expires_at = None
    # Clients register with what the first challenge names, and may want more later.
    client.scope = " ".join(SCOPES)


def _wrong(uri: str) -> str | None:
    if len(uri) > _LONGEST_URI or "\\" in uri or any(ord(letter) <= 32 for letter in uri):
        return "A redirect URI is too long or has characters that none has."
    url = urlsplit(uri)
    if url.fragment or "#" in uri:
        return "A redirect URI has no fragment."
    if url.username is not None:
        return "A redirect URI has no user name."
    if url.scheme in _NO_CALLBACKS or not url.scheme:
        return "A redirect URI of this kind is no callback."
    if url.scheme == "http" and (url.hostname or "") not in LOOPBACK:
        return "A redirect URI is https, except on the own machine."
    if url.scheme == "https" and not url.hostname:
        return "A redirect URI has a host."
    return None


def _same(asked: str, own: str) -> bool:
    if asked == own:
        return True
    one, other = urlsplit(asked), urlsplit(own)
    return (
        one.scheme == other.scheme == "http"
        and one.hostname == other.hostname
        and one.hostname in LOOPBACK
        and one.username is None
        and (one.path, one.query, one.fragment) == (other.path, other.query, other.fragment)
    )


def slug(name: str | None, taken: Iterable[str] = ()) -> str:
    """A name for logs and metrics, made from what a client calls itself."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in (name or "agent").lower())
    base = "-".join(filter(None, letters.split("-")))[:24] or "agent"
    used = set(taken)
    return next(each for number in range(1, len(used) + 2) if (each := f"{base}-{number}") not in used)
