"""Refusals before MCP begins (token, Host, Origin, size, path), with the error envelope as their body."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ibkr.errors import IbError, InvalidRequest, OperationForbidden, OperationUnknown, TokenRequired

_NO_SCOPE = OperationForbidden("The token lacks the scope ibkr:read.", action="Ask the owner for a token with it.")
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


class ErrorBodies:
    """Replaces the body of the answers that have one of these statuses; status and other headers stay."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: bytes | None = None

        async def worded(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                if message["status"] in _REFUSALS and (message["status"] in _IN_JSON or not _is_json(message)):
                    body = _body(message)
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
            await self._app(scope, receive, worded)


def _is_json(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in start["headers"])


def _body(start: Message) -> bytes:
    status: int = start["status"]
    # Where a token could help, FastMCP says so in a header.
    lacks_scope = status == 403 and any(name == b"www-authenticate" for name, _ in start["headers"])
    return json.dumps((_NO_SCOPE if lacks_scope else _REFUSALS[status]).envelope(), separators=(",", ":")).encode()
