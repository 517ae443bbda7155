"""Refusals before MCP begins (token, Host, Origin, size, path), with the error envelope as their body."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.auth.failures import TokensUnavailable
from ib_mcp.auth.scopes import READ
from ib_mcp.metrics import REFUSALS
from ibkr.errors import (
    IbError,
    InvalidRequest,
    OperationForbidden,
    OperationUnknown,
    TokenRequired,
    UpstreamUnreachable,
)

_SCOPE = re.compile(r'scope="([^"]*)"')
_REFUSALS: Mapping[int, IbError] = {
    401: TokenRequired("A token is required, and none or a wrong one was sent."),
    403: OperationForbidden(
        "The Origin of the request is a foreign one.",
        action="Ask the owner to list it in IB_MCP_ALLOWED_ORIGINS if its pages may call this server.",
    ),
    404: OperationUnknown("There is nothing at this path.", action="Use the path /mcp."),
    413: InvalidRequest("The body of the request is too large.", action="Send a smaller one."),
    421: InvalidRequest(
        "This server does not go by the Host of the request.",
        action="Ask the owner to list it in IB_MCP_ALLOWED_HOSTS.",
    ),
}


# Those whose body FastMCP writes in JSON; any other JSON is an answer of MCP itself.
_IN_JSON = (401, 403)


_UNJUDGED = UpstreamUnreachable("Whether the token is good cannot be told now.", retry_after_s=5)


class ErrorBodies:
    """Replaces the body of the answers that have one of these statuses; status and other headers stay."""

    def __init__(self, app: ASGIApp, pages: frozenset[str] = frozenset()) -> None:
        """``pages``: paths whose answers people read, which stay as they are."""
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in self._pages:
            await self._app(scope, receive, send)
            return
        body: bytes | None = None

        async def worded(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                if message["status"] in _REFUSALS and (message["status"] in _IN_JSON or not _is_json(message)):
                    body = _body(message)
                    REFUSALS.labels(str(message["status"])).inc()
                    message["headers"] = [
                        *((name, value) for name, value in message["headers"] if not name.startswith(b"content-")),
                        (b"content-type", b"application/json"),
                        (b"content-length", b"%d" % len(body)),
                    ]
            elif body is not None and message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {**message, "body": body}
            await send(message)

        with contextlib.suppress(ClientDisconnect):  # nobody is there to be answered
            try:
                await self._app(scope, receive, worded)
            except TokensUnavailable:
                await JSONResponse(_UNJUDGED.envelope(), 503, {"Retry-After": "5"})(scope, receive, send)


def _is_json(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in start["headers"])


def _body(start: Message) -> bytes:
    status: int = start["status"]
    refusal = _REFUSALS[status]
    # Where a token could help, a header says which.
    challenge = next((value.decode("latin-1") for name, value in start["headers"] if name == b"www-authenticate"), "")
    if status == 403 and challenge:
        scopes = _SCOPE.search(challenge)
        refusal = OperationForbidden(
            f"This takes a token with the scopes {scopes[1] if scopes else READ}, and that of this agent lacks one.",
            action="Ask the owner for such a token.",
        )
    return json.dumps(refusal.envelope(), separators=(",", ":")).encode()
