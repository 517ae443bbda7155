"""Who asks: the agent of a call, with what it was granted."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import mcp_types
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import MiddlewareContext
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request

from ib_mcp.auth import granted
from ib_mcp.auth.granted import Grant, GrantedToken
from ib_mcp.guard.client import caller

# Over stdio there is one agent per process.
_LOCAL = secrets.token_hex(8)


class Agent(NamedTuple):
    """``caller``: the name for the guard's fair queue."""

    caller: str
    grant: Grant

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While what happens is for this agent."""
        marks = caller.set(self.caller), granted.current.set(self.grant)
        try:
            yield
        finally:
            caller.reset(marks[0])
            granted.current.reset(marks[1])


class Agents:
    """``local``: what an agent that shows no token may do."""

    def __init__(self, local: Grant) -> None:
        self._local = local

    def of_context(self, context: MiddlewareContext[Any]) -> Agent:
        session = context.fastmcp_context.session if context.fastmcp_context else None
        try:
            request = get_http_request()
        except RuntimeError:
            return Agent(_LOCAL, self._local)
        return self.of(request, session.client_params if session else None)

    def of(self, request: Request, client: mcp_types.InitializeRequestParams | None) -> Agent:
        """Named as its token is. Agents that share a nameless token are told apart by client and address."""
        user = request.scope.get("user")
        token = user.access_token if isinstance(user, AuthenticatedUser) else None
        grant = token.grant if isinstance(token, GrantedToken) else self._local
        if grant.is_own_name:
            return Agent(grant.name, grant)
        parts = [
            grant.name,
            request.client.host if request.client else "",
            request.headers.get("user-agent", ""),
        ]
        if client is not None:
            parts += [client.client_info.name, client.client_info.version]
        return Agent(hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16], grant)
