"""The client of the guard: every question to IBKR goes through it, and every failure comes back as an ``IbError``."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import anyio

from ib_mcp.formats.numbers import parse_json
from ib_mcp.guard.transport import Answer, NotSent, Send
from ib_service.http.urls import query_of
from ibkr import catalogue
from ibkr.errors import (
    IbError,
    OperationForbidden,
    OutcomeUnknown,
    TokenRequired,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
    from_envelope,
)
from ibkr.operation import Operation
from ibkr.session import Status

# Which agent the current tool call is for: an opaque name for the guard's fair queue, never a credential.
caller: ContextVar[str] = ContextVar("caller", default="")

LISTS_ACCOUNTS = "list_portfolio_accounts"
SIGN_IN_HEADER = "ib-sign-in"
_APPROVER_HEADER = "ib-approver"
_PREFIX = "/v1/api"
_NAMES = ("accountId", "acctId")
_ODD = "IBKR answered with something else than usual, which this version cannot read."
# Effects of what may be asked again when its answer was lost.
_HARMLESS = frozenset({"read", "preview"})
# The guard's own refusal says more than our running out of time, so it gets a little less.
_RETURN_S = 0.25


@dataclass(frozen=True, slots=True)
class Reply:
    """IBKR's JSON, its age in milliseconds and where the guard had it from (``upstream``, ``cache``, ...).

    ``sign_in`` is the number of the sign-in that it belongs to.
    """

    body: Any
    age_ms: int
    source: str
    sign_in: int = 0

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

        ``account`` is the one that the question is about where nothing in it names one; it is not sent. Of several
        gateways the one answers that ``gateway_choice.named`` says. Raises the ``IbError`` of the guard's envelope.
        """

    async def trading(
        self,
        method: str,
        path: str,
        *,
        account: str | None = None,
        gateway: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        as_approver: bool = False,
    ) -> dict[str, Any]:
        """What the guard answers about orders, below ``/trading``; of several gateways with the name of the one that
        answered as ``gateway``. ``as_approver``: a person decided. Raises as ``call`` does.
        """

    def each(self) -> Mapping[str, Guard]:
        """The guards that this one stands for, by name; one where the call names its gateway."""

    @property
    def sign_ins(self) -> tuple[int, ...]:
        """The numbers of the sign-ins seen last, by guard: what was learnt under others may not be true any more."""

    @property
    def untold(self) -> Mapping[str, IbError]:
        """Gateways whose accounts are not known, and why."""

    @property
    def unsure(self) -> Mapping[str, IbError]:
        """Gateways that may have others than the accounts that are known, and why."""

    def lists(self, gateway: str, account: str) -> bool:
        """Whether this gateway listed the account last."""

    async def status(self) -> Status:
        """What the keeper knows about the session; answered without IBKR."""

    async def reauthenticate(self) -> Status:
        """Ask the keeper to open the brokerage session again; the state right after asking."""


class GuardClient:
    """Calls operations of the catalogue by id at one guard."""

    def __init__(
        self, send: Send, base_url: str, token: str, name: str = "default", approver_token: str | None = None
    ) -> None:
        self.name = name
        self._approver = {} if approver_token is None else {_APPROVER_HEADER: approver_token}
        # Of the answer that came last; an account is that of the sign-in under which it was listed last.
        self.sign_in = 0
        self._accounts: dict[str, int] = {}
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
        about = [account] if account is not None else accounts_in(path, query, body)
        meant = next((self._accounts[each] for each in about if each in self._accounts), None)
        sending = self._send(
            endpoint.method,
            _PREFIX + _fill(endpoint, path or {}),
            query={name: _text(value) for name, value in (query or {}).items() if value is not None},
            body={} if body is None and endpoint.method == "POST" else body,
            # An account of another sign-in is another user's: the guard refuses it.
            more={} if meant is None else {SIGN_IN_HEADER: str(meant)},
        )
        answer = await (sending if endpoint.effect in _HARMLESS else _known(endpoint.id, sending))
        self.sign_in = _number(answer.headers.get(SIGN_IN_HEADER), self.sign_in)
        if meant is not None and meant != self.sign_in:
            # That was told now; whoever asks for it again means the user of now.
            self._accounts = {each: number for each, number in self._accounts.items() if each not in about}
        headers = answer.headers
        reply = Reply(
            _decode(answer), _number(headers.get("ib-age-ms"), 0), headers.get("ib-source", "upstream"), self.sign_in
        )
        if operation == LISTS_ACCOUNTS and isinstance(reply.body, list):
            self._accounts = {str(row.get("accountId")): reply.sign_in for row in reply.rows}
        return reply

    async def trading(
        self,
        method: str,
        path: str,
        *,
        account: str | None = None,
        gateway: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        as_approver: bool = False,
    ) -> dict[str, Any]:
        if as_approver and not self._approver:
            raise OperationForbidden("This server has no APPROVER_TOKEN, without which it may not hand on an approval.")
        meant = self._accounts.get(account) if account is not None else None
        sending = self._send(
            method,
            f"/trading{path}",
            query={name: _text(value) for name, value in (query or {}).items() if value is not None},
            body=body,
            more=(self._approver if as_approver else {}) | ({} if meant is None else {SIGN_IN_HEADER: str(meant)}),
        )
        content = _decode(await (sending if method == "GET" else _known("The request", sending)))
        if not isinstance(content, dict):
            raise UpstreamError(_ODD)
        return content

    def each(self) -> dict[str, GuardClient]:
        return {self.name: self}

    @property
    def sign_ins(self) -> tuple[int, ...]:
        return (self.sign_in,)

    @property
    def untold(self) -> Mapping[str, IbError]:
        return {}

    @property
    def unsure(self) -> Mapping[str, IbError]:
        return {}

    def lists(self, gateway: str, account: str) -> bool:
        return gateway == self.name and account in self._accounts

    async def status(self) -> Status:
        status = _status(_decode(await self._send("GET", "/status")))
        self.sign_in = status.sign_in.number
        return status

    async def reauthenticate(self) -> Status:
        content = _decode(await self._send("POST", "/reauthenticate", body={}))
        return _status(content.get("status") if isinstance(content, dict) else None)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        more: dict[str, str] | None = None,
    ) -> Answer:
        headers = self._headers | _context_headers() | (more or {})
        content = None
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        url = f"{self._base_url}{path}?{query_of(query.items())}" if query else f"{self._base_url}{path}"
        return await self._request(method, url, headers, content)


async def _known(what: str, sending: Awaitable[Answer]) -> Answer:
    """The guard's answer to what changes something; OutcomeUnknown when there is none."""
    left = anyio.current_effective_deadline() - anyio.current_time()
    try:
        # Sooner than the tool's own deadline, which knows no more than that it is over.
        with anyio.fail_after(max(0.0, left - _RETURN_S / 2) if left < math.inf else None):
            return await sending
    except (TimeoutError, UpstreamTimeout, UpstreamUnreachable) as error:
        if isinstance(error, NotSent):
            raise
        raise OutcomeUnknown(
            f"{what} was sent, and the answer was lost: it may have been done or not.",
            action="Do not send it again: read first whether it was done.",
        ) from error


def accounts_in(path: Mapping[str, Any] | None, query: Mapping[str, Any] | None, body: Any) -> list[str]:
    """The accounts that a question names."""
    found: list[Any] = [value for given in (path, query) if given for name in _NAMES if (value := given.get(name))]
    if isinstance(body, dict):
        found += [body[name] for name in _NAMES if body.get(name)]
        listed = body.get("acctIds")
        found += listed if isinstance(listed, list) else []
    return list(dict.fromkeys(str(each) for each in found))


def _number(header: str | None, otherwise: int) -> int:
    return (
        int(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 16 else otherwise
    )


def _context_headers() -> dict[str, str]:
    headers = {}
    if name := caller.get():
        headers["ib-caller"] = name
    left = anyio.current_effective_deadline() - anyio.current_time()
    if left < math.inf:
        # Nothing is left, without a measure, of a call that is being cancelled.
        headers["ib-deadline-ms"] = str(int(max(0.0, left - _RETURN_S) * 1000))
    return headers


def _status(content: object) -> Status:
    try:
        return Status.from_json(content)
    except ValueError as error:
        raise UpstreamError("The guard's /status cannot be read by this version.") from error


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
