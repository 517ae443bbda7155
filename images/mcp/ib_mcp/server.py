"""The FastMCP server: tools, resources and prompts on one guard."""

from __future__ import annotations

from importlib.metadata import version

from fastmcp import FastMCP

from ib_mcp.accounts import Accounts
from ib_mcp.calls import ToolCalls
from ib_mcp.desk import Desk
from ib_mcp.guard import Guard
from ib_mcp.settings import McpSettings
from ib_mcp.tools import portfolio, session
from ib_mcp.tools.base import DeskTool, Function

TOOLS: tuple[Function, ...] = (
    session.get_session_status,
    portfolio.list_accounts,
    portfolio.get_account_positions,
)


def create_server(settings: McpSettings, guard: Guard) -> FastMCP:
    """All tools that the tag settings select, bound to ``guard``."""
    desk = Desk(settings, guard, Accounts(guard, settings.default_account))
    tools = {tool.name: tool for tool in (DeskTool.bind(function, desk) for function in TOOLS)}
    server: FastMCP = FastMCP(
        "ib-mcp",
        version=version("ib-mcp"),
        middleware=[ToolCalls(settings.deadline_s, tools)],
        mask_error_details=True,
        on_duplicate="error",
        dereference_schemas=False,
    )
    for tool in tools.values():
        server.add_tool(tool)
    return server
