"""The ways to market data that can be checked: by a gateway, by a guard, by all that `ib-mcp up` runs."""

from __future__ import annotations

import os
from collections.abc import Callable

from ib_mcp.cli import state
from ib_mcp.cli.doctor import checks
from ib_mcp.cli.doctor.checks import Broken
from ib_mcp.cli.http import Reply, answers
from ib_mcp.cli.stack import Stack
from ibkr.session import SessionState, Status

Check = tuple[str, Callable[[], str]]

PACING = "pacing"
_NOT_REACHED = (SessionState.STARTING, SessionState.UNREACHABLE, SessionState.HUNG)
_NOT_SIGNED_IN = (SessionState.LOGIN_REQUIRED, SessionState.MAINTENANCE)
_NOT_OPEN = (SessionState.REOPENING, SessionState.COMPETING, SessionState.PORTFOLIO_ONLY)


def plan(gateway: str | None) -> list[Check]:
    """The way to ``gateway``; without one, by the guard that the settings name, else by the running `ib-mcp up`."""
    if gateway:
        return ByGateway(gateway.rstrip("/")).plan()
    if "IB_MCP_GUARD_URL" in os.environ:
        from ib_mcp.settings import McpSettings
        from ib_service import settings

        given = settings.read(McpSettings)
        guard = ByGuard(str(given.guard_url).rstrip("/"), given.guard_token.get_secret_value())
        return [*_connection(guard.url, "keepalive"), *guard.plan()]
    stacks = state.running()
    return _by_stack(stacks[0]) if stacks else [("ib-mcp up", _not_running)]


class ByGateway:
    """Straight to the gateway at ``url``, as its only user."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._send = checks.to_gateway(url)
        self._flags = Reply(0, None)

    def plan(self) -> list[Check]:
        return [
            *_connection(self.url),
            ("gateway answers", lambda: checks.gateway_answers(self.url)),
            ("SSO", self._sso),
            ("brokerage session", lambda: checks.brokerage(self._flags.body)),
            ("market data", lambda: checks.market_data(self._send)),
            (PACING, _not_refused),
        ]

    def _sso(self) -> str:
        self._flags = self._send("POST", "/iserver/auth/status")
        return checks.sign_in(self._flags, self.url)


class ByGuard:
    """Through the guard at ``url``; what it knows of the session is believed and not asked for again."""

    def __init__(self, url: str, token: str, gateway: str | None = None) -> None:
        self.url = url
        self._token = token
        self._gateway = gateway
        self._send = checks.to_guard(url, token)
        self._status: Status

    def plan(self) -> list[Check]:
        return [
            ("keepalive", self._keepalive),
            *(_connection(self._gateway) if self._gateway else []),
            ("gateway answers", lambda: self._unless(_NOT_REACHED, "the keepalive reaches it")),
            ("SSO", lambda: self._unless(_NOT_SIGNED_IN, "signed in")),
            ("brokerage session", lambda: self._unless(_NOT_OPEN, f"open ({self._status.mode})")),
            ("market data", lambda: checks.market_data(self._send)),
            (PACING, _not_refused),
        ]

    def _keepalive(self) -> str:
        self._status = checks.keepalive(self.url, self._token)
        return f"{self.url} says {self._status.state}"

    def _unless(self, states: tuple[SessionState, ...], good: str) -> str:
        checks.held_up(self._status, states)
        return good


def _by_stack(stack: Stack) -> list[Check]:
    def server() -> str:
        if answers(stack.mcp_url.removesuffix("/mcp") + "/readyz") is None:
            raise Broken(f"{stack.mcp_url} does not answer", "Look into mcp.log in the folder that 'ib-mcp up' named.")
        return stack.mcp_url

    return [("MCP server", server), *ByGuard(stack.guard_url, stack.guard_token, stack.gateway_url).plan()]


def _connection(url: str, listener: str = "gateway") -> list[Check]:
    return [
        ("name resolution", lambda: checks.resolve(url)),
        ("TLS connection", lambda: checks.handshake(url, listener)),
    ]


def _not_running() -> str:
    raise Broken("it does not run", "Start 'ib-mcp up', or check a gateway with --gateway URL.")


def _not_refused() -> str:
    return "no request was refused"
