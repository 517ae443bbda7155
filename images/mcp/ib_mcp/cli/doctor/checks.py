"""What `ib-mcp doctor` asks on the way to market data: names, connections, gateway, keepalive.

Which paths are safe to ask, and what IBKR's program answers when something is wrong, was measured on the real one:
``/v1/am/...`` is answered by the gateway itself, a 401 is IBKR's, and a lost answer never comes.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ib_mcp import diagnosis
from ib_mcp.cli.http import Reply, ask
from ib_service.http.addresses import is_loopback
from ibkr import field_values
from ibkr.errors import (
    LoginRequired,
    PacingLimited,
    SessionCompeting,
    SessionReopening,
    TokenRequired,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
    from_envelope,
)
from ibkr.fields import BY_NUMBER
from ibkr.session import Status

Send = Callable[[str, str], Reply]

_TIMEOUT_S = 5.0
_APPLE = 265598
_SNAPSHOT = f"/iserver/marketdata/snapshot?conids={_APPLE}&fields=31,6509"
_POLLS = 8
_POLL_S = 0.75


def resolve(url: str) -> str:
    host, port = _host_port(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UpstreamUnreachable(
            f"{host} has no address: {error.strerror}", action="Correct the host name, or the DNS."
        ) from None
    return f"{host} is {', '.join(sorted({str(row[4][0]) for row in found}))}"


def handshake(url: str, listener: str = "gateway") -> str:
    """Connect and, for https, set up TLS; the detail names version and what was verified."""
    host, port = _host_port(url)
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain:
            if urlsplit(url).scheme == "http":
                return "connected; plain HTTP, no TLS"
            with tls_for(url).wrap_socket(plain, server_hostname=host) as secured:
                verified = "verified" if secured.context.verify_mode else "not verified: a loopback address"
                return f"{secured.version()}, certificate {verified}"
    except ConnectionRefusedError:
        raise UpstreamUnreachable(
            f"nothing listens on {host}:{port}", action=f"Start the {listener}, or correct its port."
        ) from None
    except TimeoutError:
        raise UpstreamTimeout(
            f"{host}:{port} does not answer within {_TIMEOUT_S:g} s",
            action=f"Restart the {listener}; if it is on another machine, look for a firewall in between.",
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise UpstreamUnreachable(
            f"the certificate is not trusted: {error.verify_message}",
            action="Name the file of its authority in IB_KEEPALIVE_GATEWAY_CA_FILE.",
        ) from None
    except ssl.SSLError as error:
        raise UpstreamUnreachable(
            f"{host}:{port} speaks no TLS ({error.reason})", action="Give the address with http://."
        ) from None
    except OSError as error:
        raise UpstreamUnreachable(
            f"no connection to {host}:{port}: {error.strerror or error}", action="Check the address."
        ) from None


def tls_for(url: str) -> ssl.SSLContext:
    """As the keepalive does: IBKR ships a public, expired key pair, so on loopback there is nothing to verify."""
    context = ssl.create_default_context(cafile=os.environ.get("IB_KEEPALIVE_GATEWAY_CA_FILE"))
    host, _ = _host_port(url)
    if is_loopback(host) and "IB_KEEPALIVE_GATEWAY_CA_FILE" not in os.environ:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def gateway(url: str) -> str:
    """Whether IBKR's program itself answers."""
    begun = time.monotonic()
    try:
        reply = ask(f"{url}/v1/am/x", timeout_s=_TIMEOUT_S, tls=tls_for(url))
    except TimeoutError:
        raise UpstreamTimeout(
            f"it accepts requests but does not answer in {_TIMEOUT_S:g} s", action="Restart the gateway."
        ) from None
    except (OSError, http.client.HTTPException):
        cure = "Give the address with https://." if url.startswith("http:") else "Restart the gateway."
        raise UpstreamUnreachable("it closes the connection without an answer", action=cure) from None
    if "Access Denied" in str(reply.body):
        raise UpstreamUnreachable(
            "it refuses the address of this machine", action="Add the address to ips.allow in its conf.yaml."
        )
    return f"answers in {(time.monotonic() - begun) * 1000:.0f} ms"


def to_gateway(url: str) -> Send:
    """Requests straight to the gateway at ``url``."""
    tls = tls_for(url)

    def send(method: str, path: str) -> Reply:
        try:
            reply = ask(f"{url}/v1/api{path}", method=method, timeout_s=_TIMEOUT_S, tls=tls)
        except TimeoutError:
            raise UpstreamTimeout(
                f"the gateway had no answer from IBKR in {_TIMEOUT_S:g} s",
                action="Check the internet connection of the gateway; restart it if that works.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamUnreachable(f"the connection broke: {error}", action="Run 'ib-mcp doctor' again.") from None
        if reply.status == 429:
            raise PacingLimited("requests are refused for coming too fast (429)", retry_after_s=reply.wait_s)
        return reply

    return send


def to_guard(url: str, token: str) -> Send:
    """Requests through the guard at ``url``, whose error envelope says itself what to do."""

    def send(method: str, path: str) -> Reply:
        try:
            reply = ask(f"{url}/v1/api{path}", method=method, token=token, timeout_s=30)
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamUnreachable(
                f"the keepalive does not answer: {error}", action="Look into the keepalive's log."
            ) from None
        if refused := from_envelope(reply.status, reply.body):
            raise refused
        return reply

    return send


def sign_in(reply: Reply, login: str) -> str:
    """Whether IBKR knows the user, from the answer to auth/status."""
    if reply.status in (301, 302, 401, 403):
        raise LoginRequired("nobody is signed in", login=login)
    if reply.status != 200 or not isinstance(reply.body, dict):
        raise UpstreamError(
            f"IBKR answers {reply.status}", action="Try again in some minutes: IBKR may be under maintenance."
        )
    if not reply.body.get("connected") and not reply.body.get("authenticated"):
        raise LoginRequired("nobody is signed in, or the gateway lost IBKR", login=login)
    return "signed in"


def brokerage_session(flags: dict[str, Any]) -> str:
    """Whether the brokerage session is open, from the flags of auth/status."""
    if flags.get("competing"):
        raise SessionCompeting(
            "another session of the same user is active", action="End it (TWS, phone app, website), then try again."
        )
    if not flags.get("connected") or not flags.get("authenticated"):
        raise SessionReopening(
            "it is not open", action="Run 'ib-mcp up' with this gateway, which opens it; else sign in again."
        )
    if flags.get("established") is False:
        raise SessionReopening("IBKR is still loading the account", action="Try again in a minute.")
    return "open"


def keepalive(url: str, token: str) -> Status:
    """What the keepalive knows of the session."""
    try:
        reply = ask(f"{url}/status", token=token, timeout_s=_TIMEOUT_S)
    except (OSError, http.client.HTTPException) as error:
        raise UpstreamUnreachable(
            f"{url} does not answer: {error}", action="Start 'ib-mcp up', or look into its logs."
        ) from None
    if reply.status == 401:
        raise TokenRequired("it refuses the token", action="Give IB_MCP_GUARD_TOKEN the TOKEN of the keepalive.")
    try:
        return Status.from_json(reply.body)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UpstreamError(
            f"{url} is no keepalive (answer {reply.status})", action="Correct the address of the guard."
        ) from None


def accounts(send: Send) -> str:
    """The accounts of the user, which portfolio questions want asked for first."""
    found = _expect(send("GET", "/portfolio/accounts"))
    return diagnosis.of_accounts(found if isinstance(found, list) else [])


def market_data(send: Send) -> str:
    """A price of Apple; the first snapshots are empty, so it is asked for a few times."""
    _expect(send("GET", "/iserver/accounts"))
    available, last = field_values.availability(""), None
    for poll in range(_POLLS):
        if poll:
            time.sleep(_POLL_S)
        rows = _expect(send("GET", _SNAPSHOT))
        row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        available = field_values.availability(str(row.get("6509", "")))
        last = field_values.parse(BY_NUMBER["31"], row.get("31")).value
        if available.timing in diagnosis.NO_QUOTES or (available.timing != "unknown" and last is not None):
            break
    return diagnosis.of_quote(available.timing, last, available.reason)


def _expect(reply: Reply) -> Any:
    """The body of a good answer."""
    if reply.status != 200:
        raise UpstreamError(
            f"IBKR answers {reply.status}: {str(reply.body)[:200]}", action="Try again in some minutes."
        )
    return reply.body


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
