"""The short way of a tool call: the request's body is read and answered here, past the layers of the MCP library.

Only a call that the library would answer without a word of its own is taken; what is malformed, unusual or continues
an earlier call goes on to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fastmcp import FastMCP
from fastmcp.tools.base import Tool
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import MCP_PARAM_HEADER_PREFIX
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    SERVER_INFO_META_KEY,
)
from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.types import Scope, Send

from ib_mcp.server.agents import Client
from ib_mcp.server.call_middleware import ASKING, CallMiddleware

_METHOD = "tools/call"
_MESSAGE = {"jsonrpc", "id", "method", "params"}
_PARAMS = frozenset({"name", "arguments", "_meta"})
_VERSION, _METHOD_NAMED, _TOOL_NAMED = b"mcp-protocol-version", b"mcp-method", b"mcp-name"
_OF_ARGUMENTS = MCP_PARAM_HEADER_PREFIX.lower().encode()
# What the library takes a request for that names no version.
_UNNAMED = "2025-03-26"

Headers = Mapping[bytes, bytes]


class Call(NamedTuple):
    """A tool call as it was asked for. ``version`` is that of the protocol, ``client`` None where none is named."""

    id: int | str
    tool: str
    arguments: dict[str, Any]
    version: str
    client: Client | None

    @property
    def is_modern(self) -> bool:
        return self.version in MODERN_PROTOCOL_VERSIONS


class FastPath:
    """Calls of ``calls``' tools, of agents whose token was checked and has ``scopes`` (None: nobody shows one)."""

    def __init__(self, server: FastMCP, calls: CallMiddleware, scopes: Sequence[str] | None) -> None:
        self._server_info = {SERVER_INFO_META_KEY: {"name": server.name, "version": server.version}}
        self._calls = calls
        # A person who is to be asked is asked through the library.
        quick = {name: tool for name, tool in calls.tools.items() if name != ASKING}
        self._tools = frozenset(name for name, tool in quick.items() if not _names_headers(tool))
        self._scopes = scopes

    def read(self, scope: Scope, content: bytes) -> Call | None:
        """The call in a request with this body; None for what the library has to answer."""
        headers = dict(scope["headers"])
        version = version_of(headers)
        # With a header that comes twice it is the library's business which of them counts.
        if version is None or len(headers) < len(scope["headers"]) or not self._may_call(scope):
            return None
        if not _is_usual(headers):
            return None
        try:
            asked = from_json(content)
        except ValueError:
            return None
        if not (isinstance(asked, dict) and asked.keys() == _MESSAGE and type(asked["id"]) in (int, str)):
            return None
        if asked["jsonrpc"] != "2.0" or asked["method"] != _METHOD or not isinstance(asked["params"], dict):
            return None
        return self._read_params(asked["id"], asked["params"], version, headers)

    def _read_params(self, number: int | str, params: dict[str, Any], version: str, headers: Headers) -> Call | None:
        name, client = params.get("name"), None
        if not (isinstance(name, str) and name in self._tools and params.keys() <= _PARAMS):
            return None
        try:
            validate_client_request(_METHOD, version, params)
        except ValidationError:
            return None
        if version in MODERN_PROTOCOL_VERSIONS:
            meta = params["_meta"]
            if headers.get(_METHOD_NAMED) != _METHOD.encode() or headers.get(_TOOL_NAMED) != name.encode():
                return None
            if meta.get(PROTOCOL_VERSION_META_KEY) != version or CLIENT_CAPABILITIES_META_KEY not in meta:
                return None
            if (info := meta.get(CLIENT_INFO_META_KEY)) is not None:
                client = Client(info["name"], info["version"])
        return Call(number, name, params.get("arguments") or {}, version, client)

    async def answer(self, call: Call, scope: Scope, send: Send) -> None:
        answer = await self._calls.answer(call.tool, call.arguments, self._calls.agents.of(scope, call.client))
        # As ``CallToolResult`` is written.
        result: dict[str, Any] = {"content": answer.content, "isError": answer.is_error}
        if call.is_modern:
            result |= {"resultType": "complete", "_meta": self._server_info}
        message = {"jsonrpc": "2.0", "id": call.id, "result": result}
        content = to_json(message, by_alias=True, exclude_none=True)
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _may_call(self, scope: Scope) -> bool:
        """Whether the check of the token, which lies before, would let this request through to the library."""
        if self._scopes is None:
            return True
        user = scope.get("user")
        return isinstance(user, AuthenticatedUser) and all(each in user.scopes for each in self._scopes)


def version_of(headers: Headers) -> str | None:
    """The protocol version of a request as the library tells it; None for one that it does not know."""
    named = headers.get(_VERSION)
    version = _UNNAMED if named is None else named.decode("latin-1")
    return version if version in HANDSHAKE_PROTOCOL_VERSIONS or version in MODERN_PROTOCOL_VERSIONS else None


def _is_usual(headers: Headers) -> bool:
    """Whether the headers are those of a request that the library accepts, as far as they do not repeat the body."""
    is_json = headers.get(b"content-type", b"").split(b";")[0].strip().lower() == b"application/json"
    return is_json and _takes_json(headers.get(b"accept", b"")) and _OF_ARGUMENTS not in b" ".join(headers)


@lru_cache(maxsize=64)
def _takes_json(accept: bytes) -> bool:
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]}))[0]


def _names_headers(tool: Tool) -> bool:
    """Whether arguments of the tool have to be repeated in headers, which the library compares."""
    return b'"x-mcp-header"' in to_json(tool.parameters)
