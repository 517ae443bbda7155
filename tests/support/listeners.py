"""Every part of the product as a process of its own, each of its ports by name, and raw connections to them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx
import psutil

from support import cli

TOKEN = "token-of-the-listeners"
NAMES = ("guard", "control", "login", "mcp", "operator", "simulator", "simulator control")
START_S = 60


@dataclass(frozen=True)
class Port:
    """A listener: its process, and what is asked to see that it is well."""

    name: str
    number: int
    health: str
    process: subprocess.Popen[str]

    @property
    def memory(self) -> int:
        """Bytes in memory of the process."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def is_well(self, timeout: float = 5) -> bool:
        """Whether it answers, and not with a failure of its own (an operator without a cluster is not ready)."""
        return httpx.get(f"http://127.0.0.1:{self.number}{self.health}", timeout=timeout).status_code == 200

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.number), timeout=30)


@contextmanager
def running(folder: Path) -> Iterator[Mapping[str, Port]]:
    """All ports of ``NAMES``; the guard's gateway is the simulator, signed in."""
    free = iter(_free_ports(len(NAMES)))
    numbers = {name: next(free) for name in NAMES}
    settings = {
        "IB_KEEPALIVE_GATEWAY_URL": f"http://127.0.0.1:{numbers['simulator']}",
        "IB_KEEPALIVE_TOKEN": TOKEN,
        "IB_KEEPALIVE_DATA_PORT": numbers["guard"],
        "IB_KEEPALIVE_CONTROL_PORT": numbers["control"],
        "IB_KEEPALIVE_LOGIN_PORT": numbers["login"],
        "IB_KEEPALIVE_MAINTENANCE_HOURS": False,
        "IB_MCP_GUARD_URL": f"http://127.0.0.1:{numbers['guard']}",
        "IB_MCP_GUARD_TOKEN": TOKEN,
        "IB_MCP_TOKEN": TOKEN,
        "IB_MCP_PORT": numbers["mcp"],
        "IB_OPERATOR_NAMESPACES": "ns1",
        "IB_OPERATOR_API_URL": "https://127.0.0.1:9",
        "IB_OPERATOR_API_CA_FILE": certifi.where(),
        "IB_OPERATOR_HOST": "127.0.0.1",
        "IB_OPERATOR_PORT": numbers["operator"],
        "IB_SIMULATOR_PORT": numbers["simulator"],
        "IB_SIMULATOR_CONTROL_PORT": numbers["simulator control"],
        "IB_SIMULATOR_SIGNED_IN": "paper",
        "IB_SIMULATOR_LIMITS": False,
    }
    environment = {**cli.environment(folder), **{name: str(value) for name, value in settings.items()}}
    commands = {
        "simulator": ["-m", "ib_simulator"],
        "keepalive": ["-m", "ib_keepalive"],
        "mcp": ["-m", "ib_mcp", "serve"],
        "operator": ["-m", "ib_operator"],
    }
    with ExitStack() as stack:
        parts = {
            part: stack.enter_context(_process(command, environment, folder / f"{part}.log"))
            for part, command in commands.items()
        }
        ports = {
            name: Port(name, number, _HEALTH.get(name, "/livez"), parts[_PART.get(name, name)])
            for name, number in numbers.items()
        }
        end = time.monotonic() + START_S
        for port in ports.values():
            while not _answers(port):
                if port.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{port.name} did not start: {(folder / 'keepalive.log').read_text()}")
                time.sleep(0.05)
        yield ports


_HEALTH = {
    "guard": "/healthz",
    "login": "/login-status",
    "mcp": "/healthz",
    "simulator": "/v1/api/tickle",
    "simulator control": "/control/state",
}
_PART = {"guard": "keepalive", "control": "keepalive", "login": "keepalive", "simulator control": "simulator"}


def _answers(port: Port) -> bool:
    try:
        return port.is_well()
    except httpx.TransportError:
        return False


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stderr=written, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def restarts(ports: Mapping[str, Port]) -> list[str]:
    """The parts whose process has ended."""
    return [port.name for port in ports.values() if port.process.poll() is not None]
