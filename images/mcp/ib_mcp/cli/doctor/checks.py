"""The links of the way to market data, each a check that says what it found or raises what is broken.

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

from ib_mcp.cli.http import Reply, ask
from ib_service.http.addresses import is_loopback
from ibkr import field_values
from ibkr.errors import PacingLimited, from_envelope
from ibkr.fields import BY_NUMBER
from ibkr.session import SessionState, Status, refusal

Send = Callable[[str, str], Reply]

_TIMEOUT_S = 5.0
_APPLE = 265598
_SNAPSHOT = f"/iserver/marketdata/snapshot?conids={_APPLE}&fields=31,6509"
_POLLS = 8
_POLL_S = 0.75


class Broken(Exception):
    """What was found and what to do, a sentence each."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


class Paced(Exception):
    """A request was refused for coming too soon, which says nothing about the link that sent it."""

    def __init__(self, wait_s: float | None) -> None:
        super().__init__("pacing")
        self.wait_s = wait_s


def resolve(url: str) -> str:
    host, port = _host_port(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Broken(f"{host} has no address: {error.strerror}", "Correct the host name, or the DNS.") from None
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
        raise Broken(f"nothing listens on {host}:{port}", f"Start the {listener}, or correct its port.") from None
    except TimeoutError:
        raise Broken(
            f"{host}:{port} does not answer within {_TIMEOUT_S:g} s",
            f"Restart the {listener}; if it is on another machine, look for a firewall in between.",
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise Broken(
            f"the certificate is not trusted: {error.verify_message}",
            "Name the file of its authority in IB_KEEPALIVE_GATEWAY_CA_FILE.",
        ) from None
    except ssl.SSLError as error:
        raise Broken(f"{host}:{port} speaks no TLS ({error.reason})", "Give the address with http://.") from None
    except OSError as error:
        raise Broken(f"no connection to {host}:{port}: {error.strerror or error}", "Check the address.") from None


def tls_for(url: str) -> ssl.SSLContext:
    """As the keepalive does: IBKR ships a public, expired key pair, so on loopback there is nothing to verify."""
    context = ssl.create_default_context(cafile=os.environ.get("IB_KEEPALIVE_GATEWAY_CA_FILE"))
    host, _ = _host_port(url)
    if is_loopback(host) and "IB_KEEPALIVE_GATEWAY_CA_FILE" not in os.environ:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def gateway_answers(url: str) -> str:
    begun = time.monotonic()
    try:
        reply = ask(f"{url}/v1/am/x", timeout_s=_TIMEOUT_S, tls=tls_for(url))
    except TimeoutError:
        raise Broken(f"it accepts requests but does not answer in {_TIMEOUT_S:g} s", "Restart the gateway.") from None
    except (OSError, http.client.HTTPException):
        fix = "Give the address with https://." if url.startswith("http:") else "Restart the gateway."
        raise Broken("it closes the connection without an answer", fix) from None
    if "Access Denied" in str(reply.body):
        raise Broken("it refuses the address of this machine", "Add the address to ips.allow in its conf.yaml.")
    return f"in {(time.monotonic() - begun) * 1000:.0f} ms"


def to_gateway(url: str) -> Send:
    """Requests straight to the gateway at ``url``."""
    tls = tls_for(url)

    def send(method: str, path: str) -> Reply:
        try:
            reply = ask(f"{url}/v1/api{path}", method=method, timeout_s=_TIMEOUT_S, tls=tls)
        except TimeoutError:
            raise Broken(
                f"the gateway had no answer from IBKR in {_TIMEOUT_S:g} s",
                "Check the internet connection of the gateway; restart it if that works.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"the connection broke: {error}", "Run 'ib-mcp doctor' again.") from None
        if reply.status == 429:
            raise Paced(reply.wait_s)
        return reply

    return send


def to_guard(url: str, token: str) -> Send:
    """Requests through the guard at ``url``, whose error envelope says itself what to do."""

    def send(method: str, path: str) -> Reply:
        try:
            reply = ask(f"{url}/v1/api{path}", method=method, token=token, timeout_s=30)
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"the keepalive does not answer: {error}", "Look into the keepalive's log.") from None
        refused = from_envelope(reply.status, reply.body)
        if isinstance(refused, PacingLimited):
            raise Paced(refused.retry_after_s)
        if refused:
            raise Broken(refused.message, refused.action)
        return reply

    return send


def sign_in(reply: Reply, login: str) -> str:
    """Whether IBKR knows the user, from the answer to auth/status."""
    fix = f"Sign in with a browser at {login}."
    if reply.status in (301, 302, 401, 403):
        raise Broken("nobody is signed in", fix)
    if reply.status != 200 or not isinstance(reply.body, dict):
        raise Broken(f"IBKR answers {reply.status}", "Try again in some minutes: IBKR may be under maintenance.")
    if not reply.body.get("connected") and not reply.body.get("authenticated"):
        raise Broken("nobody is signed in, or the gateway lost IBKR", fix)
    return "signed in"


def brokerage(flags: dict[str, Any]) -> str:
    """Whether the brokerage session is open, from the flags of auth/status."""
    if flags.get("competing"):
        raise Broken("another session of the same user is active", "End it (TWS, phone app, website), then try again.")
    if not flags.get("connected") or not flags.get("authenticated"):
        raise Broken("it is not open", "Run 'ib-mcp up' with this gateway, which opens it; else sign in again.")
    if flags.get("established") is False:
        raise Broken("IBKR is still loading the account", "Try again in a minute.")
    return "open"


def keepalive(url: str, token: str) -> Status:
    """What the keepalive knows of the session."""
    try:
        reply = ask(f"{url}/status", token=token, timeout_s=_TIMEOUT_S)
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"{url} does not answer: {error}", "Start 'ib-mcp up', or look into its logs.") from None
    if reply.status == 401:
        raise Broken("it refuses the token", "Give IB_MCP_GUARD_TOKEN the TOKEN of the keepalive.")
    try:
        return Status.from_json(reply.body)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Broken(f"{url} is no keepalive (answer {reply.status})", "Correct the address of the guard.") from None


def held_up(status: Status, states: tuple[SessionState, ...]) -> None:
    """Raise when the session is in one of ``states``, with the words that agents get."""
    if status.state in states and (error := refusal(status.state)) is not None:
        login = f"Sign in with a browser at {status.login.url_hint}." if status.login.url_hint else ""
        signed_out = status.state is SessionState.LOGIN_REQUIRED
        raise Broken(error.message, login if signed_out and login else error.action)


def market_data(send: Send) -> str:
    """A price of Apple; the first snapshots are empty, so it is asked for a few times."""
    expect(send("GET", "/iserver/accounts"))
    for _ in range(_POLLS):
        rows = expect(send("GET", _SNAPSHOT))
        row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        quotes = field_values.availability(str(row.get("6509", "")))
        if quotes.timing in ("not_subscribed", "not_acknowledged"):
            raise Broken(quotes.reason, "See to it in IBKR's Client Portal, under market-data subscriptions.")
        price = field_values.parse(BY_NUMBER["31"], row.get("31"))
        if quotes.timing != "unknown" and price.value is not None:
            return f"AAPL {price.value}, {quotes.timing.replace('_', ' and ')}"
        time.sleep(_POLL_S)
    raise Broken("IBKR sends no price of AAPL", "Try again shortly; check the market-data subscriptions.")


def expect(reply: Reply) -> Any:
    """The body of a good answer."""
    if reply.status != 200:
        raise Broken(f"IBKR answers {reply.status}: {str(reply.body)[:200]}", "Try again in some minutes.")
    return reply.body


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
