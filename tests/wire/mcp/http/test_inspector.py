"""Foreign MCP clients against `ib-mcp up` and `ib-mcp stdio`: the inspector's command line and the mcp package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from support import programs, stack
from support.answers import body_of

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CALL_SECONDS = 120
EXPECTED = {"get_session_status", "list_accounts", "get_account_positions"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    with stack.up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture(scope="module")
def inspector() -> list[str]:
    try:
        return [*programs.npm_tool(INSPECTOR, "clients/launcher/build/index.js"), "--cli"]
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


def _over_http(running: stack.Running) -> list[str]:
    return [
        running.mcp_url,
        "--transport",
        "http",
        "--header",
        f"Authorization: Bearer {running.mcp_token}",
    ]


def _over_stdio(running: stack.Running) -> list[str]:
    return [sys.executable, "-m", "ib_mcp", "stdio"]


def _found_by_stdio(running: stack.Running) -> dict[str, str]:
    # MCP clients hand down only a few variables to the servers they start.
    return {"XDG_STATE_HOME": running.environment["XDG_STATE_HOME"]}


@pytest.mark.parametrize(("target", "era"), [(_over_http, "legacy"), (_over_http, "modern"), (_over_stdio, "modern")])
def test_inspector_lists_and_calls_tools(running: stack.Running, inspector: list[str], target: Any, era: str) -> None:
    handed_down = [f"{name}={value}" for name, value in _found_by_stdio(running).items()]
    command = [*inspector, *target(running), "-e", *handed_down, "--protocol-era", era]

    # --strict: the inspector also looks for schemas that some models and clients refuse.
    listed = _inspect(running, [*command, "--method", "tools/list", "--strict"])
    assert {tool["name"] for tool in listed["tools"]} >= EXPECTED

    called = _inspect(running, [*command, "--method", "tools/call", "--tool-name", "list_accounts"])
    assert not called.get("isError")
    assert json.loads(called["content"][0]["text"])["accounts"]


def test_inspector_without_a_token_is_told_to_send_one(running: stack.Running, inspector: list[str]) -> None:
    command = [
        *inspector,
        running.mcp_url,
        "--transport",
        "http",
        "--stored-auth-only",
        "--method",
        "tools/list",
    ]
    done = _run(running, command)
    assert done.returncode != 0
    assert "401" in done.stderr or "auth" in done.stderr.lower()


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_mcp_package_lists_and_calls_tools_over_http(running: stack.Running, mode: str) -> None:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {running.mcp_token}"}) as web,
        Client(streamable_http_client(running.mcp_url, http_client=web), mode=mode) as client,
    ):
        await _lists_and_calls(client)


async def test_mcp_package_lists_and_calls_tools_over_stdio(running: stack.Running) -> None:
    command, *arguments = _over_stdio(running)
    process = StdioServerParameters(command=command, args=arguments, env=_found_by_stdio(running))
    async with Client(process) as client:
        await _lists_and_calls(client)


async def _lists_and_calls(client: Client) -> None:
    tools = await client.list_tools()
    assert {tool.name for tool in tools.tools} >= EXPECTED
    result = await client.call_tool("get_account_positions", {})
    assert not result.is_error
    assert body_of(result)["positions"]["rows"]


def _inspect(running: stack.Running, command: list[str]) -> dict[str, Any]:
    done = _run(running, [*command, "--format", "json"])
    assert done.returncode == 0, done.stderr or done.stdout
    answer = json.loads(done.stdout)
    result: dict[str, Any] = answer.get("result", answer)
    return result


def _run(running: stack.Running, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**running.environment, "HOME": str(running.folder)}
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS,
        check=False,
    )
