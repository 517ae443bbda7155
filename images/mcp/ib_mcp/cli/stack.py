"""What `ib-mcp up` runs on this machine: ports, addresses, and the child processes with their settings."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ib_mcp.cli.supervisor import Part

HOST = "127.0.0.1"
_UNGIVEN = range(20_000, 32_000)
DEFAULT_PORT = 8800
LISTENERS = ("MCP server", "guard", "control port", "login page", "simulator", "simulator control")


@dataclass(frozen=True)
class Stack:
    """Addresses and tokens of a running stack; ``simulator_control_url`` is None with a gateway that was given.

    ``trades``: whether it was started to trade.
    """

    mcp_url: str
    mcp_token: str
    guard_url: str
    guard_token: str
    control_url: str
    login_url: str
    simulator_control_url: str | None
    gateway_url: str
    trades: bool = False

    @property
    def port(self) -> int:
        return urlsplit(self.mcp_url).port or 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class TradingFiles:
    """What a stack that trades keeps: the owner's policy, the folder of ledger and audit, the approver's secret."""

    policy: Path
    folder: Path
    approver: Path


def listeners(gateway_url: str | None) -> tuple[str, ...]:
    """Who needs a port; a real gateway replaces the simulator and its control."""
    return LISTENERS if gateway_url is None else LISTENERS[:4]


def not_a_gateway(url: str) -> str | None:
    """A sentence when ``url`` cannot be a gateway's address."""
    parts = urlsplit(url)
    try:
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.path.strip("/"):
            return None
    except ValueError:
        pass
    return f"--gateway {url}: not an address such as https://localhost:5000."


def free_ports(count: int) -> list[int]:
    """``count`` different ports that nobody listens on now.

    By chance and below those that systems give to outgoing connections, which could take one before it is listened on.
    """
    found: list[int] = []
    for port in random.sample(_UNGIVEN, len(_UNGIVEN)):
        if len(found) == count:
            break
        if not is_taken(port):
            found.append(port)
    return found


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port that only waits for late packets of an earlier run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def addresses(ports: Iterable[int], tokens: tuple[str, str], gateway_url: str | None) -> Stack:
    """The stack on ``ports`` (in the order of ``LISTENERS``) with the tokens of MCP server and guard."""
    base = [f"http://{HOST}:{port}" for port in ports]
    return Stack(
        mcp_url=f"{base[0]}/mcp",
        mcp_token=tokens[0],
        guard_url=base[1],
        guard_token=tokens[1],
        control_url=base[2],
        # Sign-in is said to fail when the browser's address is not localhost.
        login_url=base[3].replace(HOST, "localhost"),
        simulator_control_url=None if gateway_url else base[5],
        gateway_url=gateway_url or base[4],
    )


def keepalive(ports: list[int], guard_token: str, gateway_url: str, record: Path | None = None) -> Part:
    """The keepalive with ``ports`` for guard, control and login; ``record`` outlives it."""
    guard, control, login = ports
    remembered = {} if record is None else {"IB_KEEPALIVE_RECORD_FILE": str(record)}
    return Part(
        "keepalive",
        "ib_keepalive",
        remembered
        | {
            "IB_KEEPALIVE_GATEWAY_URL": gateway_url,
            "IB_KEEPALIVE_TOKEN": guard_token,
            "IB_KEEPALIVE_DATA_HOST": HOST,
            "IB_KEEPALIVE_DATA_PORT": str(guard),
            "IB_KEEPALIVE_CONTROL_HOST": HOST,
            "IB_KEEPALIVE_CONTROL_PORT": str(control),
            "IB_KEEPALIVE_LOGIN_PORT": str(login),
            "IB_KEEPALIVE_LOGIN_HINT": f"http://localhost:{login}",
            # On a cluster the operator asks for that; here nobody else does.
            "IB_KEEPALIVE_AUTO_REOPEN": "true",
        },
    )


def parts(
    stack: Stack,
    ports: list[int],
    *,
    signed_out: bool,
    scenario: Path | None,
    record: Path | None = None,
    tokens: Path | None = None,
    trading: TradingFiles | None = None,
) -> list[Part]:
    """The child processes of ``stack``; ``tokens`` is the folder of those with names, ``trading`` where it trades."""
    server = Part(
        "mcp",
        "ib_mcp",
        {
            "IB_MCP_HOST": HOST,
            "IB_MCP_PORT": str(ports[0]),
            "IB_MCP_TOKEN": stack.mcp_token,
            **({} if tokens is None else {"IB_MCP_TOKENS_DIR": str(tokens)}),
            "IB_MCP_GUARD_URL": stack.guard_url,
            "IB_MCP_GUARD_TOKEN": stack.guard_token,
        },
        ("serve",),
    )
    keeper = keepalive(ports[1:4], stack.guard_token, stack.gateway_url, record)
    if trading is not None:
        server = replace(server, settings={**server.settings, **_offering(trading, stack.mcp_token)})
        keeper = replace(keeper, settings={**keeper.settings, **_trading(trading)})
    if stack.simulator_control_url is None:
        return [server, keeper]
    # Who opens the brokerage session may be tried without an account as well.
    opener = os.environ.get("IB_KEEPALIVE_BROKERAGE_LOGIN", "keeper")
    settings = {
        "IB_SIMULATOR_HOST": HOST,
        "IB_SIMULATOR_PORT": str(ports[4]),
        "IB_SIMULATOR_CONTROL_PORT": str(ports[5]),
        "IB_SIMULATOR_ROLE": "gateway",
        "IB_SIMULATOR_BROKERAGE_LOGIN": "gateway" if opener == "gateway" else "keeper",
        "IB_SIMULATOR_SIGNED_IN": "none" if signed_out else "paper",
    }
    if scenario is not None:
        settings["IB_SIMULATOR_SCENARIO"] = str(scenario)
    simulated = {"IB_KEEPALIVE_MAINTENANCE_HOURS": "false", "IB_KEEPALIVE_BROKERAGE_LOGIN": opener}
    keeper = replace(keeper, settings={**keeper.settings, **simulated})
    simulator = Part("simulator", "ib_simulator", settings)
    return [server, keeper, simulator]


def _offering(trading: TradingFiles, token: str) -> dict[str, str]:
    return {
        "IB_MCP_TRADING": "true",
        "IB_MCP_APPROVER_TOKEN": trading.approver.read_text("ascii").strip(),
        # Without scopes a token only reads.
        "IB_MCP_TOKEN": f"{token} ibkr:read ibkr:trade",
    }


def _trading(trading: TradingFiles) -> dict[str, str]:
    return {
        "IB_KEEPALIVE_TRADING_FILE": str(trading.policy),
        "IB_KEEPALIVE_TRADING_DIR": str(trading.folder),
        "IB_KEEPALIVE_APPROVER_TOKEN_FILE": str(trading.approver),
    }
