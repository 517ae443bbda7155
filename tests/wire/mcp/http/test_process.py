"""The MCP server as a process: starting, stopping, and what it writes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from support import cli

TOKEN = "token-of-an-agent"
SETTINGS = {"IB_MCP_GUARD_TOKEN": "token-of-the-guard", "IB_MCP_TOKEN": TOKEN}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "get_account_balances", "arguments": {"account": "U1234567"}},
}
HEADERS = {
    "authorization": f"Bearer {TOKEN}",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process on a free port, and its URL, once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "ib_mcp", "serve"],
        env={**cli.environment(folder), **SETTINGS, "IB_MCP_PORT": str(port), **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while not _is_ready(url):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.communicate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


def error_of(response: httpx.Response) -> dict[str, object]:
    error: dict[str, object] = json.loads(response.json()["result"]["content"][0]["text"])["error"]
    return error


def test_it_is_ready_without_a_guard_and_says_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path, IB_MCP_GUARD_URL="http://127.0.0.1:9") as (process, url):
        error = error_of(httpx.post(f"{url}/mcp", headers=HEADERS, json=CALL))
        assert error["code"] == "upstream_unreachable"
        assert "guard" in str(error["message"])
        process.send_signal(signal.SIGTERM)
        _, written = process.communicate(timeout=10)
    assert process.returncode == 0
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"listening", "tool call"} <= {line["event"] for line in lines}
    for secret in (TOKEN, "token-of-the-guard", "U1234567"):
        assert secret not in written


def test_a_request_to_stop_ends_calls_that_wait_for_a_silent_guard(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        guard_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serving(tmp_path, IB_MCP_GUARD_URL=guard_url) as (process, url), ThreadPoolExecutor(1) as agent:
            asked = agent.submit(httpx.post, f"{url}/mcp", headers=HEADERS, json=CALL, timeout=30)
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                # The call itself would go on for 20 s.
                assert process.wait(10) == 0
            assert isinstance(asked.exception(), httpx.TransportError) or asked.result().status_code == 500


def test_a_taken_port_ends_with_a_sentence_and_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = cli.run(tmp_path, "serve", **SETTINGS, IB_MCP_GUARD_URL="http://127.0.0.1:9", IB_MCP_PORT=port)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_named_with_what_would_be_right(tmp_path: Path) -> None:
    wrong = {"IB_MCP_GUARD_URL": "nonsense", "IB_MCP_INCLUDE_TAGS": "Portfolio,Stonks", "IB_MCP_PORT": "99999"}
    done = cli.run(tmp_path, "serve", **SETTINGS, **wrong)
    assert done.returncode == 2
    for hint in ("IB_MCP_GUARD_URL", "Stonks", "Market Data", "IB_MCP_PORT"):
        assert hint in done.stderr
