"""What a person pastes into an agent to reach a running stack."""

from __future__ import annotations

import shlex

from ib_mcp.cli.connect import agents
from ib_mcp.cli.stack import Stack


def vscode(stack: Stack) -> str:
    """The content of ``.vscode/mcp.json``."""
    return agents.printed(agents.vscode(_server(stack))).rstrip()


def claude_code(stack: Stack) -> str:
    """A shell command."""
    return shlex.join(agents.claude_add(_server(stack)))


def _server(stack: Stack) -> agents.Server:
    return agents.Server(stack.mcp_url, stack.mcp_token)


def summary(stack: Stack, session: str, logs: str, policy: str | None = None) -> str:
    """All that `ib-mcp up` prints once the stack answers; ``policy``: the file that says what may be traded."""
    simulated = stack.simulator_control_url is not None
    behind = "the simulator (no account; every figure is made up)" if simulated else stack.gateway_url
    rows = {
        "MCP URL": stack.mcp_url,
        "Token": stack.mcp_token,
        "Gateway": behind,
        "Session": session,
        "Login page": stack.login_url,
        "Logs": logs,
    }
    if policy is not None:
        rows["Trading"] = f"{policy} says what agents may do; ib-mcp trading stop ends it at once"
    table = "\n".join(f"{name:<12}{value}" for name, value in rows.items())
    return (
        f"\n{table}\n\n"
        f"VS Code, in .vscode/mcp.json:\n\n{vscode(stack)}\n\n"
        f"Claude Code:\n\n{claude_code(stack)}\n\n"
        "Other agents: ib-mcp connect --help. Ctrl-C stops everything.\n"
    )
