"""`ib-mcp stdio`: where its data comes from, what is on standard output, and what is left when its agent goes."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from ib_simulator.app import Simulator
from support import cli, stack
from support.answers import body_of
from support.serve import serve

_PATIENCE_S = 30


@asynccontextmanager
async def agent(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Client]:
    """A client of `ib-mcp stdio ARGUMENTS`."""
    environment = {**cli.environment(folder), **settings}
    process = StdioServerParameters(command=sys.executable, args=["-m", "ib_mcp", "stdio", *arguments], env=environment)
    with (folder / "agent.log").open("w") as log:
        async with Client(stdio_client(process, log)) as client:
            yield client


async def accounts(client: Client) -> Any:
    result = await client.call_tool("list_accounts", {})
    return body_of(result)


def keepalives() -> list[psutil.Process]:
    """Those that run below this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "ib_keepalive" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_a_given_gateway_gets_a_keepalive_that_goes_with_the_agent(tmp_path: Path) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        async with agent(tmp_path, "--gateway", url) as client:
            assert "DU" in json.dumps(await accounts(client))
            (keepalive,) = keepalives()
        gone, _ = await asyncio.to_thread(psutil.wait_procs, [keepalive], _PATIENCE_S)
        assert gone


async def test_nothing_is_left_when_the_agent_kills_it(tmp_path: Path) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        process = await _started(tmp_path, url)
        await _first_answer(process)
        (keepalive,) = keepalives()
        process.kill()
        gone, _ = await asyncio.to_thread(psutil.wait_procs, [keepalive], _PATIENCE_S)
        assert gone
        await process.communicate()


async def _started(folder: Path, gateway: str, stderr: int = subprocess.DEVNULL) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ib_mcp", "stdio", "--gateway", gateway),
        env=cli.environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


async def _first_answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    question = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    line = await asyncio.wait_for(process.stdout.readline(), _PATIENCE_S)
    answer: dict[str, Any] = json.loads(line)
    return answer


async def test_standard_output_carries_the_protocol_only_and_its_end_ends_the_server(tmp_path: Path) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        process = await _started(tmp_path, url, stderr=subprocess.PIPE)
        answer = await _first_answer(process)
        assert process.stdin is not None
        process.stdin.close()
        rest, said = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
    assert answer["result"]["serverInfo"]["name"]
    assert rest == b""
    assert said, "the keepalive logs to standard error"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_it_ends_as_when_its_agent_goes(tmp_path: Path, number: signal.Signals) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        process = await _started(tmp_path, url)
        await _first_answer(process)
        (keepalive,) = keepalives()
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), _PATIENCE_S) == 0
        assert not keepalive.is_running()


async def test_a_question_of_many_lines_length_arrives_whole(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        result = await client.call_tool("find_endpoint", {"words": "x" * 500_000})
    assert result.is_error
    assert "at most 200 characters" in json.dumps(result.model_dump(mode="json"))


async def test_the_gateway_of_a_running_up_is_shared(tmp_path: Path) -> None:
    async with serve(Simulator(signed_in="paper").app) as url:
        up = stack.up(tmp_path, "--gateway", url)
        await asyncio.to_thread(up.__enter__)
        try:
            async with agent(tmp_path, "--gateway", url) as client:
                assert "DU" in json.dumps(await accounts(client))
                assert len(keepalives()) == 1
        finally:
            await asyncio.to_thread(up.__exit__, None, None, None)


async def test_without_a_running_up_the_tools_say_what_is_missing(tmp_path: Path) -> None:
    async with agent(tmp_path) as client:
        assert (await client.list_tools()).tools
        result = await client.call_tool("list_accounts", {})
    assert result.is_error
    assert "upstream_unreachable" in json.dumps(result.model_dump(mode="json"))
    assert "'ib-mcp up' does not run" in (tmp_path / "agent.log").read_text()


async def test_a_guard_of_the_settings_is_used(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    async with agent(tmp_path, IB_MCP_GUARD_URL=url, IB_MCP_GUARD_TOKEN="x") as client:
        result = await client.call_tool("list_accounts", {})
    assert result.is_error
    assert "does not run" not in (tmp_path / "agent.log").read_text()


def test_a_guard_without_its_token_and_a_gateway_without_a_scheme_end_with_code_2(tmp_path: Path) -> None:
    no_token = cli.run(tmp_path, "stdio", IB_MCP_GUARD_URL="http://127.0.0.1:1")
    no_scheme = cli.run(tmp_path, "stdio", "--gateway", "localhost:5000")
    assert (no_token.returncode, no_scheme.returncode) == (2, 2)
    assert "IB_MCP_GUARD_TOKEN: is missing" in no_token.stderr
    assert "https://localhost:5000" in no_scheme.stderr
    assert no_token.stdout == no_scheme.stdout == ""
