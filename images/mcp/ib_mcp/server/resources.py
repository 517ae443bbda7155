"""Resources under ibkr://: what an agent may look at without calling a tool."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import ResourceError

from ib_mcp.context import ToolContext
from ib_mcp.tags import GENERAL
from ib_mcp.tools import accounts, endpoint_calls, endpoints, positions, session
from ibkr import catalogue
from ibkr.errors import IbError

_JSON = "application/json"


def add_resources(server: FastMCP, context: ToolContext) -> None:
    """All resources that the tag settings select."""

    def add(uri: str, description: str, tag: str, read: Callable[..., Awaitable[Any]]) -> None:
        if context.settings.wants([tag]):
            name = uri.removeprefix("ibkr://").replace("/", " ").replace("{", "").replace("}", "")
            server.resource(uri, name=name, description=description, mime_type=_JSON)(read)

    async def session_() -> str:
        return await _text(session.get_session_status(context))

    async def accounts_() -> str:
        return await _text(accounts.list_accounts(context))

    async def positions_() -> str:
        return await _text(positions.get_account_positions(context))

    async def positions_of(account: str) -> str:
        return await _text(positions.get_account_positions(context, account))

    async def operations() -> str:
        rows = [row for row in catalogue.load() if endpoint_calls.is_offered(context, row)]
        return json.dumps([{"endpoint": row.id, "title": row.title, "effect": row.effect} for row in rows])

    async def operation(endpoint: str) -> str:
        return await _text(endpoints.find_endpoint(context, endpoint, 1))

    add("ibkr://session", "State of the IBKR session", "Session", session_)
    add("ibkr://accounts", "Accounts", "Portfolio", accounts_)
    add("ibkr://positions", "Positions of the default account", "Portfolio", positions_)
    add("ibkr://positions/{account}", "Positions of an account", "Portfolio", positions_of)
    add("ibkr://endpoints", "Operations of IBKR's Web API", GENERAL, operations)
    add("ibkr://endpoints/{endpoint}", "One operation with its parameters", GENERAL, operation)


async def _text(answer: Awaitable[Any]) -> str:
    try:
        return json.dumps(await answer, ensure_ascii=False)
    except IbError as error:
        raise ResourceError(json.dumps(error.envelope(), ensure_ascii=False), log_level=logging.DEBUG) from error
