"""The way that a hosted agent goes, from outside: it names the first thing that is wrong."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
from typing import Any
from urllib.parse import urlencode, urlsplit

from ib_mcp.cli.doctor.checks import resolve
from ib_mcp.cli.doctor.plans import Step
from ib_mcp.cli.http import Reply, ask
from ib_mcp.diagnosis import Link
from ib_service.http.addresses import is_loopback
from ibkr.errors import UpstreamError

_TIMEOUT_S = 10.0
_RESOURCE = "/.well-known/oauth-protected-resource"
_SERVERS = ("oauth-authorization-server", "openid-configuration")
_BACK = "http://127.0.0.1:1/callback"
_NO_CHALLENGE = (
    "Turn OAuth on (PUBLIC_URL, PASSPHRASE or SIGN_IN_CLIENT, OAUTH_STORE or OAUTH_DATABASE), and let the proxy keep"
    " WWW-Authenticate."
)
_PROXY = "Let the Ingress, tunnel or proxy pass this path to the MCP server as it is, for every method."


class ByPublicUrl:
    """To the MCP server at ``url``, without a token."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        parts = urlsplit(self._url)
        self._origin, self._path = f"{parts.scheme}://{parts.netloc}", parts.path
        self._base = self._url.removesuffix("/mcp")
        self._host = parts.hostname or ""
        self._server: dict[str, Any] = {}
        self._client = ""

    def plan(self) -> list[Step]:
        return [
            (Link.ADDRESS, self._address),
            (Link.NAME_RESOLUTION, lambda: resolve(self._origin)),
            (Link.CERTIFICATE, self._certificate),
            (Link.CHALLENGE, self._challenge),
            (Link.RESOURCE_METADATA, self._resource_metadata),
            (Link.SERVER_METADATA, self._server_metadata),
            (Link.REGISTRATION, self._registration),
            (Link.CONSENT_PAGE, self._consent),
        ]

    def _address(self) -> str:
        parts = urlsplit(self._url)
        if is_loopback(self._host):
            return "on this machine, where no hosted agent comes"
        if parts.scheme != "https" or parts.port not in (None, 443):
            raise UpstreamError(
                f"{self._url} is not https on port 443", action="Hosted agents call no other port: serve it there."
            )
        return self._url if self._path == "/mcp" else f"{self._url}; agents look for other paths at the host's root"

    def _certificate(self) -> str:
        if self._origin.startswith("http:"):
            return "none, which is enough on this machine"
        try:
            with (
                socket.create_connection((self._host, 443), _TIMEOUT_S) as plain,
                ssl.create_default_context().wrap_socket(plain, server_hostname=self._host) as secure,
            ):
                return f"valid until {(secure.getpeercert() or {}).get('notAfter', 'unknown')}"
        except ssl.SSLCertVerificationError as error:
            fix = "Serve a certificate of a public authority with its whole chain: hosted agents know no other."
            raise UpstreamError(f"the certificate is not trusted: {error.verify_message}", action=fix) from None
        except OSError as error:
            raise UpstreamError(
                f"no TLS connection to {self._host}:443: {error}", action="Open port 443 to the internet."
            ) from None

    def _challenge(self) -> str:
        for path in (self._path, self._path + "/"):
            for method in ("POST", "GET", "HEAD"):
                reply = self._ask(method, path)
                if reply.status != 401:
                    raise UpstreamError(f"{method} {path} is answered {_said(reply)}, not 401", action=_PROXY)
                if "resource_metadata=" not in reply.headers.get("www-authenticate", ""):
                    problem = f"{method} {path} is answered 401 without resource_metadata in WWW-Authenticate"
                    raise UpstreamError(problem, action=_NO_CHALLENGE)
        named = re.search(r'resource_metadata="([^"]*)"', self._ask("POST", self._path).headers["www-authenticate"])
        if named is None or not named[1].startswith(f"{self._origin}/"):
            raise UpstreamError(
                f"the challenge names {named[1] if named else 'nothing'}", action=f"Set PUBLIC_URL={self._base}."
            )
        return "401 with resource_metadata, for every method"

    def _resource_metadata(self) -> str:
        for path in (f"{_RESOURCE}{self._path}", _RESOURCE):
            told = self._document(path)
            if told.get("resource") != self._url:
                raise UpstreamError(
                    f"{path} names the resource {told.get('resource')}", action=f"Set PUBLIC_URL={self._base}."
                )
        return self._url

    def _server_metadata(self) -> str:
        paths = [f"/.well-known/{name}{tail}" for name in _SERVERS for tail in ("", self._path)]
        found = [self._document(path) for path in paths]
        for path, told in zip(paths, found, strict=True):
            if told != found[0]:
                raise UpstreamError(f"{path} says something else than {paths[0]}", action=_PROXY)
        self._server = found[0]
        for name in ("authorization_endpoint", "token_endpoint", "registration_endpoint"):
            if not str(found[0].get(name, "")).startswith(f"{self._origin}/"):
                raise UpstreamError(f"{name} is {found[0].get(name)}", action=f"Set PUBLIC_URL={self._base}.")
        return f"issuer {self._server.get('issuer')}"

    def _registration(self) -> str:
        asked = {"client_name": "ib-mcp doctor", "redirect_uris": [_BACK]}
        path = urlsplit(self._server["registration_endpoint"]).path
        reply = self._ask("POST", path, json.dumps(asked), "application/json")
        if reply.status != 201 or not isinstance(reply.body, dict):
            fix = "Wait a minute where there were too many; else: " + _PROXY
            raise UpstreamError(f"POST {path} is answered {_said(reply)}, not 201", action=fix)
        self._client = str(reply.body.get("client_id"))
        return "201; the client that was made for this goes away by itself"

    def _consent(self) -> str:
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {"client_id": self._client, "redirect_uri": _BACK, "response_type": "code", "state": "doctor"}
        asked |= {"code_challenge": challenge, "code_challenge_method": "S256", "resource": self._url}
        path = urlsplit(self._server["authorization_endpoint"]).path
        reply = self._ask("GET", f"{path}?{urlencode(asked)}")
        location = reply.headers.get("location", "")
        if reply.status != 302 or not location.startswith(f"{self._origin}/"):
            raise UpstreamError(
                f"GET {path} is answered {_said(reply)}, with location {location[:80] or 'none'}", action=_PROXY
            )
        page = self._ask("GET", location.removeprefix(self._origin))
        if page.status != 200 or "<form" not in str(page.body):
            raise UpstreamError(f"GET {urlsplit(location).path} is answered {_said(page)}, not the page", action=_PROXY)
        return "shown; what is left is your passphrase"

    def _document(self, path: str) -> dict[str, Any]:
        reply = self._ask("GET", path)
        if reply.status != 200 or not isinstance(reply.body, dict):
            raise UpstreamError(f"GET {path} is answered {_said(reply)}, not 200 with JSON", action=_PROXY)
        return reply.body

    def _ask(self, method: str, target: str, content: str | None = None, kind: str = "") -> Reply:
        headers = {"Content-Type": kind} if kind else {}
        url = self._origin + target
        try:
            return ask(url, method=method, timeout_s=_TIMEOUT_S, content=content, headers=headers)
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamError(f"{method} {target[:60]} is not answered: {error}", action=_PROXY) from None


def _said(reply: Reply) -> str:
    location = reply.headers.get("location")
    return str(reply.status) + (f" to {location[:80]}" if location and reply.status < 400 else "")
