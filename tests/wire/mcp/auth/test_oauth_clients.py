"""Agents as people have them find the way in: the official Python client, mcp-remote and the inspector."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from support import oauth, programs
from support.answers import body_of
from support.api_server import free_port
from support.oauth import Person

MCP_REMOTE = "mcp-remote@0.15.1"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
_PATIENCE_S = 60


async def _accounts(origin: str, person: Person, mode: str = "2026-07-28") -> list[str]:
    async with (
        person.web(origin) as web,
        Client(streamable_http_client(f"{origin}/mcp", http_client=web), mode=mode) as client,
    ):
        found = body_of(await client.call_tool("list_accounts", {}))["accounts"]
        return [row[0] for row in found["rows"]]


@pytest.mark.parametrize(("mode", "prefix"), [("legacy", ""), ("2026-07-28", ""), ("2026-07-28", "/home/ibkr")])
async def test_the_official_client_gets_in_and_is_not_asked_again(tmp_path: Path, mode: str, prefix: str) -> None:
    person = Person(account=["U1000002"])
    async with oauth.serving(tmp_path / "oauth.db", prefix=prefix) as origin:
        assert await _accounts(origin + prefix, person, mode) == ["U1000002"]
        assert await _accounts(origin + prefix, person, mode) == ["U1000002"]
    assert person.asked == 1


async def test_the_official_client_asks_for_more_when_a_call_takes_more(tmp_path: Path) -> None:
    person = Person(scope=[])
    async with oauth.serving(tmp_path / "oauth.db", allow_writes=True) as origin:
        assert await _accounts(origin, person)
        assert person.tokens is not None
        first = person.tokens.scope
        person.given = {"scope": ["ibkr:write"]}
        async with (
            person.web(origin) as web,
            Client(streamable_http_client(f"{origin}/mcp", http_client=web)) as client,
        ):
            given = {"endpoint": "delete_watchlist", "parameters": {"id": "1"}}
            answer = await client.call_tool("call_endpoint", given)
    assert (first, person.tokens.scope) == ("ibkr:read", "ibkr:read ibkr:write")
    # It came as far as the guard, which has no such operation here.
    assert body_of(answer)["error"]["code"] != "operation_forbidden"


async def test_mcp_remote_gets_in_from_an_editor_and_after_a_restart_too(tmp_path: Path) -> None:
    try:
        command = programs.npm_tool(MCP_REMOTE, "dist/proxy.js")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with oauth.serving(tmp_path / "oauth.db") as origin:
        first = await _through_mcp_remote(command, origin, tmp_path)
        assert first == (["U1000001", "U1000002"], 1)
        assert await _through_mcp_remote(command, origin, tmp_path) == (["U1000001", "U1000002"], 0)


async def _through_mcp_remote(command: list[str], origin: str, home: Path) -> tuple[list[str], int]:
    """The accounts that an agent on its standard input is told, and how often the owner was asked."""
    process = await asyncio.create_subprocess_exec(
        *command,
        f"{origin}/mcp",
        "--allow-http",
        env={"PATH": os.environ["PATH"], "HOME": str(home), "BROWSER": "true"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    stdin, stdout, asked = process.stdin, process.stdout, 0

    async def approves(stderr: asyncio.StreamReader) -> None:
        nonlocal asked
        while line := (await stderr.readline()).decode():
            if found := re.search(rf"({re.escape(origin)}/authorize\S+)", line):
                asked += 1
                async with httpx.AsyncClient() as browser:
                    await browser.get(await oauth.approve(found[1]))

    async def ask(number: int, method: str, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        stdin.write(json.dumps(message).encode() + b"\n")
        while line := await stdout.readline():
            if (answer := json.loads(line)).get("id") == number:
                return answer["result"]
        raise AssertionError("mcp-remote ended")

    watching = asyncio.create_task(approves(process.stderr))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            await ask(1, "initialize", **about)
            stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
            found = await ask(2, "tools/call", name="list_accounts", arguments={})
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(watching)
    return [row[0] for row in json.loads(found["content"][0]["text"])["accounts"]["rows"]], asked


async def test_the_inspector_gets_in_by_itself(tmp_path: Path) -> None:
    try:
        command = programs.npm_tool(INSPECTOR, "clients/launcher/build/index.js")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with oauth.serving(tmp_path / "oauth.db") as origin, httpx.AsyncClient() as browser:
        called = ("--transport", "http", "--method", "tools/call", "--tool-name", "list_accounts")
        back = ("--callback-url", f"http://127.0.0.1:{free_port()}/oauth/callback")
        home = {"HOME": str(tmp_path), "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "memory"}
        process = await asyncio.create_subprocess_exec(
            *(*command, "--cli", f"{origin}/mcp", *called, *back),
            env={"PATH": os.environ["PATH"]} | home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = ""
        async with asyncio.timeout(_PATIENCE_S):
            assert process.stdout
            while line := (await process.stdout.readline()).decode():
                said += line
                if found := re.search(rf"{re.escape(origin)}/authorize\S+", line):
                    await browser.get(await oauth.approve(found[0], account=["U1000002"]))
            await process.wait()
    assert process.returncode == 0, said
    assert "U1000002" in said
    assert "U1000001" not in said


async def test_the_conformance_suite_passes_in_both_scenarios_of_an_authorization_server(tmp_path: Path) -> None:
    try:
        command = programs.npm_tool(CONFORMANCE, "dist/index.js")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    port = free_port()
    async with oauth.serving(tmp_path / "oauth.db") as origin, httpx.AsyncClient() as web:
        told = {"client_name": "conformance", "redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
        client = (await web.post(f"{origin}/register", json=told)).json()["client_id"]
        given = ("--url", origin, "--client-id", client, "--resource", f"{origin}/mcp", "--port", str(port))
        process = await asyncio.create_subprocess_exec(
            *command, "authorization", *given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said = ""
        async with asyncio.timeout(_PATIENCE_S):
            assert process.stdout
            while line := (await process.stdout.readline()).decode():
                said += line
                if found := re.match(rf"{re.escape(origin)}/authorize\S+", line):
                    await web.get(await oauth.approve(found[0]))
            await process.wait()
    assert process.returncode == 0, said
    # The suite has no more for authorization servers; its other scenarios of authorization are for clients.
    assert "Total: 2 passed, 0 failed" in said
