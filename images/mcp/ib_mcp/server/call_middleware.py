"""Around every call of an agent: who asks, by when, what became of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import anyio
import mcp_types
import structlog
from fastmcp import FastMCP
from fastmcp.exceptions import FastMCPError, NotFoundError, ResourceError
from fastmcp.resources.base import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import InputRequiredToolResult, Tool, ToolResult

from ib_mcp import metrics
from ib_mcp.agent_log import AGENTS
from ib_mcp.auth.scopes import READ, scope_of
from ib_mcp.server.agents import Agent, Agents
from ib_mcp.server.person import person_of
from ib_mcp.tools import session, submit_order
from ib_mcp.tools.base import Effective, result
from ib_mcp.trading.asking import ASK_S, Person, person
from ibkr.errors import IbError, InternalError, OperationForbidden, OperationUnknown, SessionReopening, UpstreamTimeout

log = structlog.get_logger(__name__)

ASKING = submit_order.submit_order.__name__
"""The tool that may ask the person behind the agent."""


class CallMiddleware(Middleware):
    """Gives each call its deadline and caller; turns a tool's failure into an error envelope, counts and logs it.

    ``tools``: those that are called without FastMCP's look-up (visibility, authorization, spans), which the tag
    settings have settled at the start and which would take a fifth of a call.
    """

    def __init__(self, deadline_s: float, tools: Mapping[str, Tool], agents: Agents) -> None:
        self.agents = agents
        self._deadline_s = deadline_s
        self.tools = tools
        self._scopes = {name: scope_of(tool.effect) for name, tool in tools.items() if isinstance(tool, Effective)}

    @classmethod
    def of(cls, server: FastMCP) -> CallMiddleware | None:
        """That of a server with tools of ours; None of any other."""
        return next((each for each in server.middleware if isinstance(each, cls)), None)

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name, arguments = context.message.name, context.message.arguments or {}
        asking = self.agents.of_context(context)
        if name == ASKING:
            with _before(person_of(context.fastmcp_context)):
                return await self.answer(name, arguments, asking)
        if name in self.tools:
            return await self.answer(name, arguments, asking)
        return await self._around(name, asking, call_next(context))

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        scopes = self.agents.of_context(context).grant.scopes
        return [tool for tool in await call_next(context) if self._scopes.get(tool.name, READ) in scopes]

    async def answer(self, tool: str, arguments: dict[str, Any], asking: Agent) -> ToolResult:
        """The answer of one of ``tools`` to this agent."""
        if (scope := self._scopes.get(tool, READ)) not in asking.grant.scopes:
            return await self._around(tool, asking, _refused(tool, scope))
        return await self._around(tool, asking, self.tools[tool].run(arguments))

    async def _around(self, tool: str, asking: Agent, call: Awaitable[ToolResult]) -> ToolResult:
        started = time.perf_counter()
        label, outcome = tool, "cancelled"
        try:
            # A person takes longer; what is asked of the guard meanwhile has the usual time.
            deadline_s = self._deadline_s + (ASK_S + self._deadline_s if tool == ASKING else 0.0)
            with asking.asking(), anyio.fail_after(deadline_s):
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
            seconds = time.perf_counter() - started
            metrics.count(label, asking.grant.name, outcome, seconds)
            AGENTS.note(asking.grant.name, label, outcome)
            level = logging.DEBUG if outcome == "ok" else logging.INFO
            log.log(
                level, "tool call", tool=label, agent=asking.grant.name, outcome=outcome, ms=round(seconds * 1000, 1)
            )
        return _once(answer)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mcp_types.ReadResourceRequestParams],
        call_next: CallNext[mcp_types.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        try:
            with self.agents.of_context(context).asking(), anyio.fail_after(self._deadline_s):
                return await call_next(context)
        except TimeoutError as error:
            raise ResourceError(json.dumps(self._late().envelope()), log_level=logging.INFO) from error

    def _failure(self, tool: str, error: Exception) -> IbError:
        """What the agent is told of ``error``."""
        match error:
            case SessionReopening() if session.reopen_session.__name__ in self.tools:
                return session.advised(error)
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


@contextmanager
def _before(someone: Person | None) -> Iterator[None]:
    """While ``someone`` can be asked."""
    mark = person.set(someone)
    try:
        yield
    finally:
        person.reset(mark)


async def _refused(tool: str, scope: str) -> NoReturn:
    raise OperationForbidden(
        f"The token of this agent has no scope {scope}, which {tool} needs.",
        action="Ask the owner for a token with it.",
    )


def _once(answer: ToolResult) -> ToolResult:
    """Without the structured copy of the text: every client shows a model the text where there is no copy, and some
    show it both."""
    if not isinstance(answer, InputRequiredToolResult):
        answer.structured_content = None
    return answer
