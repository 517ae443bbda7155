"""The short way to our own tools, past the layers that FastMCP lays around every tool: they cost a fifth of a call."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from fastmcp import FastMCP
from fastmcp.tools.base import ToolResult
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.methods import validate_client_request
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request

from ib_mcp.server.call_middleware import CallMiddleware

_KNOWN = frozenset({"name", "arguments", "_meta"})


class FastPath:
    """A middleware of the MCP library, which trusts it to answer as the protocol wants.

    It takes calls of ``tools`` over HTTP. What is malformed, continues an earlier call or comes over stdio, where the
    handshake has to be checked, goes on to the library.
    """

    def __init__(self, server: FastMCP, calls: CallMiddleware, tools: Container[str]) -> None:
        self._server_info = {SERVER_INFO_META_KEY: {"name": server.name, "version": server.version}}
        self._calls = calls
        self._tools = tools

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        asked = ctx.params or {}
        name = asked.get("name")
        if not (
            ctx.method == "tools/call"
            and isinstance(name, str)
            and name in self._tools
            and asked.keys() <= _KNOWN
            and isinstance(ctx.request, Request)
        ):
            return await call_next(ctx)
        try:
            validate_client_request(ctx.method, ctx.protocol_version, asked)
        except ValidationError:
            return await call_next(ctx)
        asking = self._calls.agents.of(ctx.request, ctx.session.client_params)
        answer = _wire(await self._calls.answer(name, asked.get("arguments") or {}, asking))
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            answer |= {"resultType": "complete", "_meta": self._server_info}
        return answer


def _wire(answer: ToolResult) -> dict[str, Any]:
    """As ``CallToolResult`` is written."""
    return {
        "content": [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in answer.content],
        "isError": answer.is_error,
    }
