"""FastMCP's check of Host and Origin, made once for what comes again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp.server.http import HostOriginGuardMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_CHECKED = (b"host", b"origin")
_MOST, _LONGEST = 256, 300


class HostOrigin:
    """Lets through what the library's guard lets through, and remembers it: the guard reads nothing else of a request
    than these headers, the scheme and the server's address."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str], allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._guard = HostOriginGuardMiddleware(self._passed, allowed_hosts, allowed_origins, mode="strict")
        self._known: set[Any] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _read(scope) not in self._known:
            await self._guard(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _passed(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = _read(scope)
        if sum(len(value) for _, value in read[0]) <= _LONGEST:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known.add(read)
        await self._app(scope, receive, send)


def _read(scope: Scope) -> tuple[Any, ...]:
    headers = tuple(header for header in scope["headers"] if header[0] in _CHECKED)
    return headers, scope.get("scheme"), scope.get("server")
