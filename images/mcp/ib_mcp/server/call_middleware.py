"""Around every call of an agent: who asks, by when, what became of it."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

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
from ib_mcp.auth import granted, tokens
from ib_mcp.guard.client import caller
from ib_mcp.tools import session
from ib_mcp.tools.base import Effective, result
from ibkr.errors import IbError, InternalError, OperationForbidden, OperationUnknown, SessionReopening, UpstreamTimeout

log = structlog.get_logger(__name__)
# Over stdio there is one agent per process.
_LOCAL = secrets.token_hex(8)


class Agent(NamedTuple):
    """Who asks; ``scopes`` are None for one on this machine that shows no token."""

    name: str
    scopes: frozenset[str] | None


class CallMiddleware(Middleware):
    """Gives each call its deadline and caller; turns a tool's failure into an error envelope, counts and logs it."""

    def __init__(self, deadline_s: float, tools: Mapping[str, Tool]) -> None:
        self._deadline_s = deadline_s
        self._tools = tools
        self._writes = {name for name, tool in tools.items() if isinstance(tool, Effective) and tool.effect == "write"}

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name, arguments = context.message.name, context.message.arguments or {}
        asking = _agent(context)
        if name in self._tools:
            # FastMCP's own look-up (visibility, authorization, spans) would take a fifth of a call.
            return await self.answer(name, arguments, asking)
        return await self._around(name, asking, call_next(context))

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        listed = await call_next(context)
        if not self._writes or _may(_agent(context), tokens.WRITE):
            return listed
        return [tool for tool in listed if tool.name not in self._writes]

    async def answer(self, tool: str, arguments: dict[str, Any], asking: Agent) -> ToolResult:
        """The answer of one of ``tools`` to this agent."""
        if tool in self._writes and not _may(asking, tokens.WRITE):
            return await self._around(tool, asking, _refused(tool))
        return await self._around(tool, asking, self._tools[tool].run(arguments))

    async def _around(self, tool: str, asking: Agent, call: Awaitable[ToolResult]) -> ToolResult:
        started = time.perf_counter()
        label, outcome = tool, "cancelled"
        mark, scopes = caller.set(asking.name), granted.scopes.set(asking.scopes)
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
            granted.scopes.reset(scopes)
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
        asking = _agent(context)
        mark, scopes = caller.set(asking.name), granted.scopes.set(asking.scopes)
        try:
            with anyio.fail_after(self._deadline_s):
                return await call_next(context)
        except TimeoutError as error:
            raise ResourceError(json.dumps(self._late().envelope()), log_level=logging.INFO) from error
        finally:
            caller.reset(mark)
            granted.scopes.reset(scopes)

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


async def _refused(tool: str) -> NoReturn:
    raise OperationForbidden(f"The token of this agent has no scope {tokens.WRITE}, which {tool} needs.")


def _may(agent: Agent, scope: str) -> bool:
    return agent.scopes is None or scope in agent.scopes


def _agent(context: MiddlewareContext[Any]) -> Agent:
    session = context.fastmcp_context.session if context.fastmcp_context else None
    try:
        request = get_http_request()
    except RuntimeError:
        return Agent(_LOCAL, None)
    return agent_of(request, session.client_params if session else None)


def agent_of(request: Request, client: mcp_types.InitializeRequestParams | None) -> Agent:
    """The agent that asks, with an opaque, stable name made from its token, its client and its address."""
    user = request.scope.get("user")
    parts = [
        user.access_token.client_id if isinstance(user, AuthenticatedUser) else "",
        request.client.host if request.client else "",
        request.headers.get("user-agent", ""),
    ]
    if client is not None:
        parts += [client.client_info.name, client.client_info.version]
    scopes = frozenset(user.access_token.scopes) if isinstance(user, AuthenticatedUser) else None
    return Agent(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16], scopes)
