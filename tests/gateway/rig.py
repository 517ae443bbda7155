"""The whole way in real programs: agent, MCP server, keepalive, IBKR's gateway, simulated IBKR."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from gateway.program import Authority, Gateway
from ibkr.session import Opener
from support import stack

START_SECONDS = 30
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Broker:
    """The simulator in IBKR's role, a process; ``control`` talks to its control API."""

    port: int
    control: httpx.Client
    log: Path

    def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        """An action of the control API (``approve``, ``sign-out``, ...); the simulator's state after it."""
        state: dict[str, Any] = self.control.post(f"/control/{action}", json=arguments).raise_for_status().json()
        return state

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.control.get("/control/state").raise_for_status().json()
        return state

    @contextmanager
    def fault(self, kind: str, **arguments: Any) -> Iterator[None]:
        """A fault while the block runs; what it held goes on afterwards."""
        made = self.control.post("/control/faults", json={"kind": kind, **arguments}).raise_for_status().json()
        try:
            yield
        finally:
            self.control.delete("/control/faults", params={"id": made["id"]}).raise_for_status()

    def orders(self) -> list[dict[str, Any]]:
        """The broker's own record of every order that it took."""
        orders: list[dict[str, Any]] = self.control.get("/control/orders").raise_for_status().json()["orders"]
        return orders

    def requests(self, path: str, *, of_the_gateway: bool | None = None) -> list[dict[str, Any]]:
        """What came in for ``path``, first to last; only the gateway's own calls, only others, or both."""
        rows = self.control.get("/control/requests", params={"last": 20_000}).raise_for_status().json()["requests"]
        return [
            row
            for row in rows
            if row["path"] == path and of_the_gateway in (None, row["user_agent"].startswith("ClientPortalGW/"))
        ]

    async def sees(self, path: str, *, of_the_gateway: bool | None = None, seconds: float) -> None:
        """Wait for one more request for ``path``."""
        before = len(self.requests(path, of_the_gateway=of_the_gateway))
        await until(lambda: len(self.requests(path, of_the_gateway=of_the_gateway)) > before, seconds)


@dataclass(frozen=True)
class Rig:
    """``gateway`` is IBKR's program in front of ``broker``, ``running`` `ib-mcp up`, ``control`` its control port."""

    broker: Broker
    gateway: Gateway
    running: stack.Running
    control: httpx.Client

    def logs(self) -> dict[str, str]:
        """What each program wrote so far, except for what `ib-mcp up` prints for its owner."""
        files = [*self.running.logs[1:], self.gateway.log, self.broker.log]
        return {file.name: file.read_text("utf-8") for file in files}

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.control.get("/status").raise_for_status().json()
        return status

    async def reaches(self, state: str, seconds: float = 60) -> dict[str, Any]:
        """The status as soon as the keeper says ``state``."""
        seen: list[str] = []

        def reached() -> bool:
            try:
                seen.append(self.status()["state"])
            except httpx.TransportError:
                seen.append("(no keepalive)")
            return seen[-1] == state

        try:
            await until(reached, seconds)
        except TimeoutError:
            raise AssertionError(f"{state} was not reached in {seconds} s, but {list(dict.fromkeys(seen))}") from None
        return self.status()

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """An agent's call: the structured answer, or the error envelope."""
        transport = StreamableHttpTransport(self.running.mcp_url, auth=self.running.mcp_token)
        async with Client(transport) as agent:
            result = await agent.call_tool(tool, arguments, raise_on_error=False)
        answer: dict[str, Any] = json.loads(result.content[0].text)
        return answer

    def part(self, name: str) -> psutil.Process | None:
        """The process of a part of `ib-mcp up` at the moment."""
        for child in psutil.Process(self.running.process.pid).children():
            # One may just be dying.
            with suppress(psutil.Error):
                if f"ib_{name}" in child.cmdline():
                    return child
        return None


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for what a process or its control API shows: there is nothing else to wait on. TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def assembled(folder: Path, opener: Opener = "keeper", *options: str) -> Iterator[Rig]:
    """Everything started and nobody signed in; ``opener`` opens the brokerage session after a sign-in. ``options`` are
    more of `ib-mcp up`."""
    authority = Authority(folder)
    with serve_broker(folder, authority) as broker:
        gateway = Gateway(folder, broker.port, authority, opens_brokerage=opener == "gateway")
        gateway.start()
        try:
            with (
                stack.up(folder, "--gateway", gateway.url, *options, IB_KEEPALIVE_BROKERAGE_LOGIN=opener) as running,
                httpx.Client(base_url=running.control_url) as control,
            ):
                yield Rig(broker, gateway, running, control)
        finally:
            gateway.stop()


@contextmanager
def serve_broker(folder: Path, authority: Authority) -> Iterator[Broker]:
    """IBKR as a process of its own, with nobody signed in."""
    log = folder / "simulator.log"
    settings = {
        "IB_SIMULATOR_ROLE": "backend",
        "IB_SIMULATOR_SIGNED_IN": "none",
        "IB_SIMULATOR_SECOND_STEP": "wait",
        "IB_SIMULATOR_TLS_CERT_FILE": str(authority.certificate),
        "IB_SIMULATOR_TLS_KEY_FILE": str(authority.key),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ib_simulator"], env={**os.environ, **settings}, stdout=output, stderr=output
        )
    try:
        up = _announcement(process, log)
        with httpx.Client(base_url=up["control_url"]) as control:
            yield Broker(httpx.URL(up["url"]).port or 0, control, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _announcement(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if line.startswith("{") and "control_url" in (row := json.loads(line)):
                return dict(row)
        time.sleep(0.05)
    raise RuntimeError(f"the simulator did not start:\n{log.read_text()}")
