"""Who asks: the agent of a call, with what it was granted."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import MiddlewareContext
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import Scope

from ib_mcp.auth import granted
from ib_mcp.auth.granted import Grant, GrantedToken
from ib_mcp.guard.client import caller

# Over stdio there is one agent per process.
_LOCAL = f"stdio-{secrets.token_hex(8)}"

_NO_NAME = re.compile(r"[^A-Za-z0-9._]+")
_LONGEST_NAME = 30


class Client(NamedTuple):
    """The program that an agent says it is."""

    name: str
    version: str


class Agent(NamedTuple):
    """``caller``: the name for the guard's fair queue and for its owner, who reads it where orders are approved."""

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
        told = session.client_params if session else None
        return self.of(request.scope, Client(told.client_info.name, told.client_info.version) if told else None)

    def of(self, scope: Scope, client: Client | None) -> Agent:
        """Who sent the request ``scope``, named as its token is.

        Agents that share a nameless token are told apart by client and address.
        """
        user = scope.get("user")
        token = user.access_token if isinstance(user, AuthenticatedUser) else None
        grant = token.grant if isinstance(token, GrantedToken) else self._local
        if grant.is_own_name:
            return Agent(grant.name, grant)
        address: tuple[str, int] | None = scope.get("client")
        user_agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        parts = [grant.name, address[0] if address else "", user_agent.decode("latin-1"), *(client or ())]
        # The name is what the client says of itself: the digest keeps it from passing for another agent.
        said = _NO_NAME.sub("-", client.name if client else "")[:_LONGEST_NAME].strip("-") or grant.name
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        return Agent(f"{said}-{digest}", grant)
