"""Around every call of an agent: who asks, by when, what became of it."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Mapping
from typing import Any

import anyio
import mcp_types
import structlog
from fastmcp.exceptions import FastMCPError, NotFoundError, ResourceError
from fastmcp.resources.base import ResourceResult
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import Tool, ToolResult
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

from ib_mcp import metrics
from ib_mcp.guard.client import caller
from ib_mcp.tools import session
from ib_mcp.tools.base import result
from ibkr.errors import IbError, InternalError, OperationUnknown, SessionReopening, UpstreamTimeout

log = structlog.get_logger(__name__)
# Over stdio there is one agent per process.
_LOCAL = secrets.token_hex(8)


class CallMiddleware(Middleware):
    """Gives each call its deadline and caller; turns a tool's failure into an error envelope, counts and logs it."""

    def __init__(self, deadline_s: float, tools: Mapping[str, Tool]) -> None:
        self._deadline_s = deadline_s
        self._tools = tools

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name, arguments = context.message.name, context.message.arguments or {}
        asking = _caller(context)
        if name in self._tools:
            # FastMCP's own look-up (visibility, authorization, spans) would take a fifth of a call.
            return await self.answer(name, arguments, asking)
        return await self._around(name, asking, call_next(context))

    async def answer(self, tool: str, arguments: dict[str, Any], asking: str) -> ToolResult:
        """The answer of one of ``tools`` to the agent with this name."""
        return await self._around(tool, asking, self._tools[tool].run(arguments))

    async def _around(self, tool: str, asking: str, call: Awaitable[ToolResult]) -> ToolResult:
        started = time.perf_counter()
        label, outcome = tool, "cancelled"
        mark = caller.set(asking)
        try:
            with anyio.fail_after(self._deadline_s):
                answer = await call
            outcome = "ok"
        except Exception as error:
            if isinstance(error, NotFoundError):
                # No label of a metric, or callers could make as many as they like.
                label = "unknown"
            failure = self._failure(tool, error)
            outcome = failure.code
            answer = result(failure.envelope(), is_error=True)
        finally:
            caller.reset(mark)
            seconds = time.perf_counter() - started
            metrics.TOOL_CALLS.labels(label, outcome).inc()
            metrics.TOOL_SECONDS.labels(label).observe(seconds)
            level = logging.DEBUG if outcome == "ok" else logging.INFO
            log.log(level, "tool call", tool=label, outcome=outcome, ms=round(seconds * 1000, 1))
        return answer

    async def on_read_resource(
        self,
        context: MiddlewareContext[mcp_types.ReadResourceRequestParams],
        call_next: CallNext[mcp_types.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        mark = caller.set(_caller(context))
        try:
            with anyio.fail_after(self._deadline_s):
                return await call_next(context)
        except TimeoutError as error:
            raise ResourceError(json.dumps(self._late().envelope()), log_level=logging.INFO) from error
        finally:
            caller.reset(mark)

    def _failure(self, tool: str, error: Exception) -> IbError:
        """What the agent is told of ``error``."""
        match error:
            case SessionReopening() if session.reopen_session.__name__ in self._tools:
                error.action = session.REOPEN
                return error
            case IbError():
                return error
            case TimeoutError():
                return self._late()
            case NotFoundError():
                return OperationUnknown(f"There is no tool {tool[:64]!r}.", action="Choose one of the listed tools.")
            case FastMCPError() if isinstance(error.__cause__, IbError):
                # FastMCP wraps what a tool of its own raises.
                return self._failure(tool, error.__cause__)
        log.error("tool failed", tool=tool[:64], exc_info=error)
        return InternalError("This server failed to answer because of a fault of its own.")

    def _late(self) -> IbError:
        return UpstreamTimeout(f"No answer within {self._deadline_s:g} s.")


def _caller(context: MiddlewareContext[Any]) -> str:
    session = context.fastmcp_context.session if context.fastmcp_context else None
    try:
        request = get_http_request()
    except RuntimeError:
        return _LOCAL
    return agent_name(request, session.client_params if session else None)


def agent_name(request: Request, client: mcp_types.InitializeRequestParams | None) -> str:
    """An opaque, stable name of the agent that asks, made from its token, its client and its address."""
    user = request.scope.get("user")
    parts = [
        user.access_token.client_id if isinstance(user, AuthenticatedUser) else "",
        request.client.host if request.client else "",
        request.headers.get("user-agent", ""),
    ]
    if client is not None:
        parts += [client.client_info.name, client.client_info.version]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
