"""A call beyond the token's scopes: 403 with the scopes it takes, by which OAuth clients ask their person for more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastmcp import FastMCP
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.auth.scopes import READ, SCOPES, scope_of
from ib_mcp.http.request_body import whole
from ib_mcp.server.server import CALL_ENDPOINT
from ib_mcp.tools.base import Effective
from ibkr import catalogue


class StepUp:
    """Lies behind the check of the token. ``metadata_url``: of the resource, where OAuth is on."""

    def __init__(
        self, app: ASGIApp, server: FastMCP, path: str, scopes: Iterable[str], metadata_url: str | None
    ) -> None:
        self._app = app
        self._server = server
        self._path = path
        # More than this no call takes.
        self._most = set(scopes)
        self._metadata_url = metadata_url
        self._by_tool: Mapping[str, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user = scope.get("user")
        if (
            scope["type"] != "http"
            or scope["path"] != self._path
            or scope["method"] != "POST"
            or not isinstance(user, AuthenticatedUser)
            or self._most.issubset(user.scopes)
        ):
            await self._app(scope, receive, send)
            return
        messages = await whole(receive)
        needed = await self._needed(b"".join(message.get("body", b"") for message in messages))
        if needed in self._most.difference(user.scopes):
            await self._refuse({needed, *user.scopes})(scope, receive, send)
            return

        async def read() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, read, send)

    async def _needed(self, body: bytes) -> str:
        """The scope that a request takes; reading for what is no call."""
        if self._by_tool is None:
            tools = await self._server.list_tools(run_middleware=False)
            self._by_tool = {tool.name: scope_of(tool.effect) for tool in tools if isinstance(tool, Effective)}
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return READ
        given = asked.get("params") if isinstance(asked, dict) and asked.get("method") == "tools/call" else None
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            return READ
        if given["name"] == CALL_ENDPOINT:
            return _of_endpoint(given.get("arguments"))
        return self._by_tool.get(given["name"], READ)

    def _refuse(self, wanted: Iterable[str]) -> Response:
        parts = ['error="insufficient_scope"', f'scope="{" ".join(each for each in SCOPES if each in set(wanted))}"']
        if self._metadata_url:
            parts.append(f'resource_metadata="{self._metadata_url}"')
        return Response(status_code=403, headers={"WWW-Authenticate": f"Bearer {', '.join(parts)}"})


def _of_endpoint(arguments: Any) -> str:
    name = arguments.get("endpoint") if isinstance(arguments, dict) else None
    operation = catalogue.load().get(name.strip()) if isinstance(name, str) else None
    return READ if operation is None else scope_of(operation.effect)
