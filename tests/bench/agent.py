"""An agent as cheap as can be: one JSON-RPC request over HTTP per tool call, so that it is not what is measured."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

Wire = Literal["2026-07-28", "2025-11-25"]
MODERN: Wire = "2026-07-28"
HANDSHAKE: Wire = "2025-11-25"
_LONGEST_S = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """``seconds`` it took; ``error`` is the code of the envelope, None when it was answered."""

    body: dict[str, Any]
    seconds: float
    error: str | None
    retry_after_s: float | None


def client() -> aiohttp.ClientSession:
    """The connections of any number of agents."""
    timeout = aiohttp.ClientTimeout(total=_LONGEST_S)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


class Agent:
    """The server tells agents apart by ``name``."""

    def __init__(
        self, connections: aiohttp.ClientSession, url: str, token: str, name: str = "bench", wire: Wire = MODERN
    ) -> None:
        self._connections = connections
        self._url = url
        self._wire = wire
        self._headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": wire,
            "user-agent": name,
        }
        self._meta = {
            "io.modelcontextprotocol/protocolVersion": wire,
            "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """One tool call; RuntimeError when it is not answered as MCP wants it."""
        began = time.perf_counter()
        result = _result(await self.send("tools/call", name=tool, arguments=arguments))
        seconds = time.perf_counter() - began
        body = json.loads(next(part["text"] for part in result["content"] if part["type"] == "text"))
        error = body["error"] if result.get("isError") else {}
        return Answer(body, seconds, error.get("code"), error.get("retry_after_s"))

    async def send(self, method: str, **params: Any) -> bytes:
        """The body of the HTTP answer."""
        headers = self._headers
        if self._wire == MODERN:
            headers = {**headers, "mcp-method": method} | ({"mcp-name": params["name"]} if "name" in params else {})
            params["_meta"] = self._meta
        content = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        async with self._connections.post(self._url, data=content, headers=headers) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{method}: HTTP {response.status} {body[:300]!r}")
            return body


def _result(body: bytes) -> Any:
    """The JSON-RPC result, out of JSON or an event stream."""
    if not body.startswith(b"{"):
        body = next(line[6:] for line in body.splitlines() if line.startswith(b"data: {"))
    message = json.loads(body)
    if "result" not in message:
        raise RuntimeError(f"not a result: {body[:300]!r}")
    return message["result"]
