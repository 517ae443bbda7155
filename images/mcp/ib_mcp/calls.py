"""Around every call of an agent: who asks, by when, what became of it."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types
import structlog
from fastmcp.exceptions import FastMCPError, NotFoundError, ResourceError
from fastmcp.resources.base import ResourceResult
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult

from ib_mcp import metrics
from ib_mcp.guard import caller
from ib_mcp.tools import session
from ib_mcp.tools.base import DeskTool, result
from ibkr.errors import IbError, InternalError, OperationUnknown, SessionReopening, UpstreamTimeout

log = structlog.get_logger(__name__)
_FAULT = "This server failed to answer because of a fault of its own."
# Over stdio there is one agent per process.
_LOCAL = secrets.token_hex(8)


class Calls(Middleware):
    """Gives each call its deadline and caller; turns a tool's failure into an error envelope, counts and logs it."""

    def __init__(self, deadline_s: float, tools: Mapping[str, DeskTool]) -> None:
        self._deadline_s = deadline_s
        self._tools = tools

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        started = time.perf_counter()
        tool, failure = context.message.name, None
        mark = caller.set(_caller(context))
        try:
            with anyio.fail_after(self._deadline_s):
                if desk_tool := self._tools.get(tool):
                    # FastMCP's own look-up (visibility, authorization, spans) would take a fifth of a call.
                    return await desk_tool.run(context.message.arguments or {})
                return await call_next(context)
        except IbError as error:
            failure = _for_agents(error)
        except TimeoutError:
            failure = self._late()
        except NotFoundError:
            failure, tool = (
                OperationUnknown(f"There is no tool {tool[:64]!r}.", action="Choose one of the listed tools."),
                "unknown",
            )
        except FastMCPError as error:
            failure = _cause(error)
        except Exception:
            log.exception("tool failed", tool=tool)
            failure = InternalError(_FAULT)
        finally:
            caller.reset(mark)
            seconds = time.perf_counter() - started
            outcome = "ok" if failure is None else failure.code
            metrics.TOOL_CALLS.labels(tool, outcome).inc()
            metrics.TOOL_SECONDS.labels(tool).observe(seconds)
            level = logging.DEBUG if failure is None else logging.INFO
            log.log(level, "tool call", tool=tool, outcome=outcome, ms=round(seconds * 1000, 1))
        return result(failure.envelope(), is_error=True)

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

    def _late(self) -> IbError:
        return UpstreamTimeout(f"No answer within {self._deadline_s:g} s.")


def _for_agents(error: IbError) -> IbError:
    """With the cure that an agent has."""
    if isinstance(error, SessionReopening):
        error.action = session.REOPEN
    return error


def _cause(error: FastMCPError) -> IbError:
    """FastMCP wraps what a tool raises; the reason is what matters."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, IbError):
            return reason
        reason = reason.__cause__
    return InternalError(_FAULT)


def _caller(context: MiddlewareContext[Any]) -> str:
    """An opaque, stable name of the agent that asks, made from its token, its client and its address."""
    try:
        request = get_http_request()
    except RuntimeError:
        return _LOCAL
    token = get_access_token()
    parts = [
        token.client_id if token else "",
        request.client.host if request.client else "",
        request.headers.get("user-agent", ""),
    ]
    asking = context.fastmcp_context.session.client_params if context.fastmcp_context else None
    if asking is not None:
        parts += [asking.client_info.name, asking.client_info.version]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
