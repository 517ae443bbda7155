"""`ib-mcp stdio`: the MCP server on standard input and output, for agents that start their servers themselves."""

from __future__ import annotations

import argparse
import os
import secrets
import time
from contextlib import ExitStack

from ib_mcp.cli import state
from ib_mcp.cli.console import say
from ib_mcp.cli.http import answers
from ib_mcp.cli.stack import DEFAULT_PORT, HOST, LISTENERS, Stack, addresses, free_ports, keepalive, not_a_gateway
from ib_mcp.cli.stdio.stdin_close import end_input_on_request
from ib_mcp.cli.supervisor import Supervisor

_START_S = 10.0
_LOOK_S = 0.05


def run(given: argparse.Namespace) -> int:
    """Until the agent closes standard input, or SIGTERM."""
    if given.gateway is not None and (problem := not_a_gateway(given.gateway)):
        say(problem)
        return 2
    end_input_on_request()
    with ExitStack() as own:
        guard: dict[str, object] = {}
        supervisor = None
        if given.gateway and (url_and_token := _guard_of(given.gateway)):
            guard = url_and_token
        elif given.gateway:
            ports, token = free_ports(3), secrets.token_urlsafe(32)
            guard = {"guard_url": f"http://{HOST}:{ports[0]}", "guard_token": token}
            part = keepalive(ports, token, given.gateway, state.record(given.gateway))
            supervisor = own.enter_context(Supervisor([part], None, _tell_end))
        elif "IB_MCP_GUARD_URL" not in os.environ:
            guard = _guard_of_up()
        # Loaded while the keepalive starts.
        from ib_mcp.http.serve import serve_stdio
        from ib_mcp.settings import McpSettings
        from ib_service import settings

        limits = {"scopes": given.scope, "accounts": ",".join(given.account or ())}
        server = settings.read(McpSettings, **guard, **{name: words for name, words in limits.items() if words})
        if supervisor and not _answered(f"{guard['guard_url']}/healthz", supervisor):
            return 1
        serve_stdio(server)
    return 0


def _guard_of(gateway: str) -> dict[str, object] | None:
    """The guard of an `ib-mcp up` that has this gateway: two keepalives would not know of each other's requests."""
    for stack in state.running():
        if stack.gateway_url.rstrip("/") == gateway.rstrip("/"):
            return _reaching(stack)
    return None


def _guard_of_up() -> dict[str, object]:
    """The guard of the running `ib-mcp up`, else of the next one with the default ports."""
    stacks = state.running()
    if not stacks:
        say("'ib-mcp up' does not run; the tools will answer as soon as it does (or give --gateway URL)")
        ports = range(DEFAULT_PORT, DEFAULT_PORT + len(LISTENERS))
        stacks = [addresses(ports, ("", state.token("guard")), None)]
    return _reaching(stacks[0])


def _reaching(stack: Stack) -> dict[str, object]:
    """Settings by which a server speaks to the guard of ``stack``, and hands on what a person approves."""
    reached: dict[str, object] = {"guard_url": stack.guard_url, "guard_token": stack.guard_token}
    return reached | {"trading": True, "approver_token": state.token("approver")} if stack.trades else reached


def _answered(url: str, supervisor: Supervisor) -> bool:
    end = time.monotonic() + _START_S
    while answers(url) is None:
        if supervisor.failed:
            return False
        if time.monotonic() > end:
            say(f"the keepalive does not answer within {_START_S:g} s")
            return False
        time.sleep(_LOOK_S)
    supervisor.steady()
    return not supervisor.failed


def _tell_end(name: str, code: int, delay_s: float | None) -> None:
    again = "it says why above" if delay_s is None else f"starting it again in {delay_s:g} s"
    say(f"{name} ended with exit code {code}; {again}")
