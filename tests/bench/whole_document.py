"""What tools of a whole OpenAPI document cost the MCP server: CPU time of its start, and memory."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from support import cli, documents, published
from tests.bench.figures import Figure

_ROUNDS = 3
_MOST_S = 3
_MOST_MB = 60
_PATIENCE_S = 60
_TOKEN = "token-of-the-bench"
_LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
_HEADERS = {
    "authorization": f"Bearer {_TOKEN}",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}


class _Start(NamedTuple):
    """Up to the first list of tools; ``seconds`` of the processor, ``memory`` in bytes of this process alone."""

    seconds: float
    memory: int
    tools: int


async def measure() -> list[Figure]:
    """The newest document of IBKR that is here, else one of the catalogue's operations."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if published.is_here():
            spec = published.paths()[-1]
        else:
            spec = folder / "catalogue.json"
            spec.write_text(json.dumps(documents.of_catalogue()), "utf-8")
        plain, whole = [], []
        for _ in range(_ROUNDS):
            plain.append(_start(folder))
            whole.append(_start(folder, IB_MCP_SPEC=str(spec)))
    note = f"{spec.stem}, {whole[0].tools - plain[0].tools} tools more; {_seconds(plain):.2f} s without"
    more = statistics.median(one.memory for one in whole) - statistics.median(one.memory for one in plain)
    return [
        Figure("start with tools of a whole document, CPU time", _seconds(whole), _MOST_S, " s", note=note),
        Figure("memory that they take besides", more / 1e6, _MOST_MB, " MB"),
    ]


def _seconds(starts: list[_Start]) -> float:
    return statistics.median(one.seconds for one in starts)


def _start(folder: Path, **settings: str) -> _Start:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {
        "IB_MCP_GUARD_TOKEN": "token-of-the-guard", "IB_MCP_GUARD_URL": "http://127.0.0.1:9",
        "IB_MCP_TOKEN": _TOKEN, "IB_MCP_PORT": str(port),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "ib_mcp", "serve"],
        env={**cli.environment(folder), **own, **settings},
        stderr=subprocess.DEVNULL,
    )
    try:
        listed = _first_list(process, port)
        seen = psutil.Process(process.pid)
        times = seen.cpu_times()
        return _Start(times.user + times.system, seen.memory_full_info().uss, listed)
    finally:
        process.kill()
        process.wait()


def _first_list(process: subprocess.Popen[bytes], port: int) -> int:
    """How many tools it lists, as soon as it does."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/mcp", headers=_HEADERS, json=_LIST)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        return len(answer.json()["result"]["tools"])
    raise RuntimeError("the MCP server did not start")
