"""The client of the guard: every question to IBKR goes through it, and every failure comes back as an ``IbError``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import anyio

from ib_mcp.formats.numbers import parse_json
from ib_mcp.guard.transport import Answer, Send
from ibkr import catalogue
from ibkr.errors import TokenRequired, UpstreamError, UpstreamUnreachable, from_envelope
from ibkr.operation import Operation
from ibkr.session import Status

# Which agent the current tool call is for: an opaque name for the guard's fair queue, never a credential.
caller: ContextVar[str] = ContextVar("caller", default="")

_PREFIX = "/v1/api"
_ODD = "IBKR answered with something else than usual, which this version cannot read."
# The guard's own refusal says more than our running out of time, so it gets a little less.
_RETURN_S = 0.25


@dataclass(frozen=True, slots=True)
class Reply:
    """IBKR's JSON, its age in milliseconds and where the guard had it from (``upstream``, ``cache``, ...)."""

    body: Any
    age_ms: int
    source: str

    @property
    def object(self) -> dict[str, Any]:
        """The body where an object is expected; an empty answer is an empty one. UpstreamError for anything else."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise UpstreamError(_ODD)
        return self.body

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects of a list; none for an empty answer. UpstreamError for anything else."""
        if self.body is None:
            return []
        if not isinstance(self.body, list):
            raise UpstreamError(_ODD)
        return [row for row in self.body if isinstance(row, dict)]


class Guard(Protocol):
    """What tools ask IBKR through: one guard, or several behind one."""

    async def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        """IBKR's answer to ``operation`` (a catalogue id). Query values that are None are left out.

        ``account`` is the one that the question is about where neither path nor body names it; it is not sent.
        Raises the ``IbError`` of the guard's envelope.
        """

    def each(self) -> Mapping[str, GuardClient]:
        """The guards that this one stands for, by name."""

    async def status(self) -> Status:
        """What the keeper knows about the session; answered without IBKR."""

    async def reauthenticate(self) -> Status:
        """Ask the keeper to open the brokerage session again; the state right after asking."""


class GuardClient:
    """Calls operations of the catalogue by id at one guard."""

    def __init__(self, send: Send, base_url: str, token: str) -> None:
        self._request = send
        self._base_url = base_url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        self._catalogue = catalogue.load()

    async def call(
        self,
        operation: str,
        *,
        account: str | None = None,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        endpoint = self._catalogue[operation]
        answer = await self._send(
            endpoint.method,
            _PREFIX + _fill(endpoint, path or {}),
            query={name: _text(value) for name, value in (query or {}).items() if value is not None},
            body={} if body is None and endpoint.method == "POST" else body,
        )
        headers = answer.headers
        return Reply(_decode(answer), int(headers.get("ib-age-ms", 0)), headers.get("ib-source", "upstream"))

    def each(self) -> dict[str, GuardClient]:
        return {"default": self}

    async def status(self) -> Status:
        content = _decode(await self._send("GET", "/status"))
        try:
            return Status.from_json(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UpstreamError("The guard's /status cannot be read by this version.") from error

    async def reauthenticate(self) -> Status:
        content = _decode(await self._send("POST", "/reauthenticate", body={}))
        return Status.from_json(content["status"])

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        headers = self._headers | _context_headers()
        content = None
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        url = f"{self._base_url}{path}?{urlencode(query)}" if query else f"{self._base_url}{path}"
        return await self._request(method, url, headers, content)


def _context_headers() -> dict[str, str]:
    headers = {}
    if name := caller.get():
        headers["ib-caller"] = name
    left = anyio.current_effective_deadline() - anyio.current_time()
    if left < math.inf:
        headers["ib-deadline-ms"] = str(max(0, int((left - _RETURN_S) * 1000)))
    return headers


def _fill(endpoint: Operation, values: Mapping[str, Any]) -> str:
    path = endpoint.path
    for name in endpoint.path_parameters:
        path = path.replace(f"{{{name}}}", quote(_text(values[name]), safe=""))
    return path


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decode(answer: Answer) -> Any:
    is_success = 200 <= answer.status < 300
    content: Any = None
    if answer.content:
        try:
            content = parse_json(answer.content)
        except ValueError as error:
            if is_success:
                raise UpstreamError("IBKR answered with something that is not JSON.") from error
    if is_success:
        return content
    failure = from_envelope(answer.status, content)
    if isinstance(failure, TokenRequired):
        raise UpstreamUnreachable(
            "The guard refuses this server's token.",
            action="Ask the owner to give IB_MCP_GUARD_TOKEN the guard's TOKEN.",
        )
    raise failure or UpstreamError(f"The guard answered with HTTP {answer.status}.", status=answer.status)
