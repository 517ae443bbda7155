"""The ways to market data that can be checked: by a gateway, by a guard, by all that `ib-mcp up` runs."""

from __future__ import annotations

import os
from collections.abc import Callable

from ib_mcp import diagnosis
from ib_mcp.cli import state
from ib_mcp.cli.doctor import checks
from ib_mcp.cli.http import Reply, answers
from ib_mcp.cli.stack import Stack
from ib_mcp.diagnosis import Link
from ibkr.errors import UpstreamUnreachable
from ibkr.session import Status

Step = tuple[Link, Callable[[], str]]
"""A link, and how it is asked; that waits, and says what it found or raises what is broken."""


def plan(gateway: str | None) -> list[Step]:
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
    return _by_stack(stacks[0]) if stacks else [(Link.STACK, _not_running)]


class ByGateway:
    """Straight to the gateway at ``url``, as its only user."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._send = checks.to_gateway(url)
        self._flags = Reply(0, None)

    def plan(self) -> list[Step]:
        return [
            *_connection(self.url),
            (Link.GATEWAY, lambda: checks.gateway(self.url)),
            (Link.SIGN_IN, self._sign_in),
            (Link.BROKERAGE_SESSION, lambda: checks.brokerage_session(self._flags.body)),
            (Link.ACCOUNTS, lambda: checks.accounts(self._send)),
            (Link.MARKET_DATA, lambda: checks.market_data(self._send)),
            (Link.PACING, diagnosis.not_refused),
        ]

    def _sign_in(self) -> str:
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

    def plan(self) -> list[Step]:
        return [
            (Link.KEEPALIVE, self._keepalive),
            *(_connection(self._gateway) if self._gateway else []),
            (Link.GATEWAY, lambda: self._of_status(Link.GATEWAY, "the keepalive reaches it")),
            (Link.SIGN_IN, lambda: self._of_status(Link.SIGN_IN, f"signed in, {self._status.mode}")),
            (Link.BROKERAGE_SESSION, lambda: self._of_status(Link.BROKERAGE_SESSION, "open")),
            (Link.ACCOUNTS, lambda: checks.accounts(self._send)),
            (Link.MARKET_DATA, self._market_data),
            (Link.PACING, diagnosis.not_refused),
        ]

    def _market_data(self) -> str:
        if diagnosis.is_left_to_others(self._status):
            return diagnosis.PORTFOLIO_ONLY
        return checks.market_data(self._send)

    def _keepalive(self) -> str:
        self._status = checks.keepalive(self.url, self._token)
        return f"{self.url} says {self._status.state}"

    def _of_status(self, link: Link, good: str) -> str:
        return diagnosis.of_status(link, self._status, good)


def _by_stack(stack: Stack) -> list[Step]:
    def server() -> str:
        if answers(stack.mcp_url.removesuffix("/mcp") + "/readyz") is None:
            raise UpstreamUnreachable(
                f"{stack.mcp_url} does not answer", action="Look into mcp.log in the folder that 'ib-mcp up' named."
            )
        return stack.mcp_url

    return [(Link.MCP_SERVER, server), *ByGuard(stack.guard_url, stack.guard_token, stack.gateway_url).plan()]


def _connection(url: str, listener: str = "gateway") -> list[Step]:
    return [
        (Link.NAME_RESOLUTION, lambda: checks.resolve(url)),
        (Link.TLS_CONNECTION, lambda: checks.handshake(url, listener)),
    ]


def _not_running() -> str:
    raise UpstreamUnreachable("it does not run", action="Start 'ib-mcp up', or check a gateway with --gateway URL.")
