"""Agents as people have them find the way in by themselves: the official Python client and mcp-remote."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from support import oauth, programs
from support.answers import body_of

MCP_REMOTE = "mcp-remote@0.15.1"
CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
_PATIENCE_S = 60


class Person:
    """The official client's storage, and the owner who approves; ``asked``: how often that was."""

    def __init__(self, **given: Any) -> None:
        self.tokens: OAuthToken | None = None
        self.info: OAuthClientInformationFull | None = None
        self.asked = 0
        self.given = given
        self._location = ""

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.info = client_info

    async def open(self, url: str) -> None:
        self.asked += 1
        self._location = await oauth.approve(url, **self.given)

    async def called_back(self) -> AuthorizationCodeResult:
        told = {name: values[0] for name, values in parse_qs(urlsplit(self._location).query).items()}
        return AuthorizationCodeResult(**told)

    def provider(self, origin: str) -> OAuthClientProvider:
        told = OAuthClientMetadata.model_validate({"client_name": "tests", "redirect_uris": ["http://127.0.0.1:1/cb"]})
        return OAuthClientProvider(f"{origin}/mcp", told, self, self.open, self.called_back)


async def _accounts(origin: str, person: Person, mode: str = "2026-07-28") -> list[str]:
    async with (
        httpx2.AsyncClient(auth=person.provider(origin)) as web,
        Client(streamable_http_client(f"{origin}/mcp", http_client=web), mode=mode) as client,
    ):
        found = body_of(await client.call_tool("list_accounts", {}))["accounts"]
        return [row[0] for row in found["rows"]]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_the_official_client_gets_in_and_is_not_asked_again(tmp_path: Path, mode: str) -> None:
    person = Person(account=["U1000002"])
    async with oauth.serving(tmp_path / "oauth.db") as origin:
        assert await _accounts(origin, person, mode) == ["U1000002"]
        assert await _accounts(origin, person, mode) == ["U1000002"]
    assert person.asked == 1


async def test_the_official_client_asks_for_more_when_a_call_takes_more(tmp_path: Path) -> None:
    person = Person(scope=[])
    async with oauth.serving(tmp_path / "oauth.db", allow_writes=True) as origin:
        assert await _accounts(origin, person)
        assert person.tokens is not None
        first = person.tokens.scope
        person.given = {"scope": ["ibkr:write"]}
        async with (
            httpx2.AsyncClient(auth=person.provider(origin)) as web,
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


async def test_the_conformance_suite_finds_the_metadata_right(tmp_path: Path) -> None:
    try:
        command = programs.npm_tool(CONFORMANCE, "dist/index.js")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    async with oauth.serving(tmp_path / "oauth.db") as origin:
        asked = ("authorization", "--url", origin, "--scenario", "authorization-server-metadata-endpoint")
        process = await asyncio.create_subprocess_exec(*command, *asked, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
    assert process.returncode == 0, said.decode()
    assert b"Passed: 1/1, 0 failed" in said
