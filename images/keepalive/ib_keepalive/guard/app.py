"""The data port as an ASGI app: routes, the order of checks, and one envelope for every error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, Self

import httpx
import structlog

from ib_keepalive.guard.admission import (
    is_signed_in,
    read_sign_in,
    refuse_operation,
    refuse_session,
    refuse_sign_in,
    state_error,
)
from ib_keepalive.guard.allow_list import read_target, with_body
from ib_keepalive.guard.auth import Token, refuse_browsers
from ib_keepalive.guard.memory.session_memory import SessionChanged, SessionMemory, Sessions
from ib_keepalive.guard.reads.reader import Reader
from ib_keepalive.guard.session_calls import FROM_STATUS, OPENING
from ib_keepalive.guard.snapshots.batches import OPERATION as SNAPSHOT
from ib_keepalive.guard.snapshots.reader import SnapshotReader
from ib_keepalive.guard.writer import Writer
from ib_keepalive.http.asgi import (
    HttpReply,
    Receive,
    Scope,
    Send,
    error_reply,
    json_reply,
    read_body,
    send_reply,
)
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.deadline import DEFAULT_TURN_S, read_deadline
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.settings import KeepaliveSettings
from ib_keepalive.upstream.api_request import PREFIX, ApiRequest
from ib_keepalive.upstream.client import GatewayClient
from ib_keepalive.upstream.paced_client import PacedClient
from ib_service.http.caller_gone import CallerGone, unless_gone
from ibkr import catalogue
from ibkr.catalogue import Catalogue
from ibkr.errors import IbError, LoginRequired, OperationUnknown, UpstreamError
from ibkr.operation import Operation
from ibkr.session import Glance, Status

log = structlog.get_logger("ib_keepalive.guard")

_API = PREFIX.encode() + b"/"
_TRADING = b"/trading/"
# An order may wait for others, of which one may be left open by who was asked about it; and IBKR may ask several
# questions.
_ORDER_TURN_S = 20.0
_ORDER_WITHIN_S = 30.0
SIGN_IN_HEADER = b"ib-sign-in"
_MOST_REMEMBERED = 2048
_LONGEST_CALLER = 64

Headers = dict[bytes, bytes]


class Orders(Protocol):
    """What answers the order calls of IBKR's API and the paths under ``/trading/``. Every refusal is an IbError."""

    @property
    def under_way(self) -> int: ...

    def serves(self, endpoint: Operation) -> bool: ...

    async def call(self, request: ApiRequest, caller: Caller, sign_in: int | None) -> HttpReply: ...

    async def route(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        content: bytes,
        caller: Caller,
        sign_in: int | None,
    ) -> HttpReply: ...


class Guard:
    """An ASGI app; ``async with`` ends what it runs for callers.

    ``status`` is the keeper's view of the session, ``glance`` the part of it on which every question depends, and
    ``reauthenticate`` asks it to open the brokerage session.
    ``probe_soon`` is called when IBKR denies that view, ``heard`` at every good answer of IBKR, ``listed``
    with the operation and body of each list of accounts. ``wall`` is the
    calendar's clock (epoch seconds). ``operations`` are those that may be asked for, by default all.
    """

    def __init__(
        self,
        settings: KeepaliveSettings,
        transport: httpx.AsyncBaseTransport,
        metrics: Metrics,
        pacer: Pacer,
        *,
        status: Callable[[], Status],
        glance: Callable[[], Glance] | None = None,
        reauthenticate: Callable[[], Awaitable[object]],
        refuse_writes: Callable[[], str | None],
        probe_soon: Callable[[], None] = lambda: None,
        heard: Callable[[], None] = lambda: None,
        listed: Callable[[str, Any], None] = lambda *_: None,
        wall: Callable[[], float] = time.time,
        operations: Catalogue | None = None,
    ) -> None:
        self._token = Token(settings.token.get_secret_value())
        self._status = status
        self._traffic = metrics.traffic
        self._reauthenticate = reauthenticate
        self._wall = wall
        self._catalogue = operations or catalogue.load()
        self._requests: dict[tuple[str, bytes, bytes], ApiRequest] = {}
        self._pacer = pacer
        self.sessions = Sessions(glance or (lambda: Glance.at(status())), wall)
        self.client = PacedClient(GatewayClient(transport, settings.gateway_url, metrics), pacer, heard)
        self.reads = Reader(self._catalogue, self.client, pacer, self.sessions, probe_soon, listed)
        self.snapshots = SnapshotReader(self._catalogue, self.client, pacer, self.sessions, self.reads, probe_soon)
        self._writer = Writer(self.client, pacer, self.sessions)
        # Who serves orders sets it; without one they are refused.
        self.orders: Orders | None = None
        self._refuse_writes = refuse_writes
        self._count = {
            source: metrics.answers.labels(source).inc
            for source in ("upstream", "cache", "coalesced", "batch", "local", "error")
        }

    async def __aenter__(self) -> Self:
        self._pacer.remember()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._writer.close()
        await self.snapshots.close()
        await self.reads.close()
        self._pacer.close()

    @property
    def busy(self) -> int:
        """Requests under way: 0 when nobody waits for anything and nothing runs on."""
        calls = self.reads.under_way + self.snapshots.under_way + self._writer.under_way
        calls += 0 if self.orders is None else self.orders.under_way
        return calls + self._pacer.waiting + self._pacer.running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_other(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except CallerGone:
            return
        except IbError as error:
            answer = self._error(error)
        except Exception:
            log.exception("a request failed in the guard")
            answer = self._error(UpstreamError("The guard failed.", action="Report this with its log.", status=500))
        await send_reply(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> HttpReply:
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        if raw_path == b"/healthz":
            return json_reply({"ok": True})
        headers: Headers = dict(scope["headers"])
        refuse_browsers(headers)
        self._token.check(headers)
        if raw_path.startswith(_API):
            return await self._answer_api(scope, receive, headers, raw_path)
        if self.orders is not None and raw_path.startswith(_TRADING):
            return await self._answer_trading(self.orders, scope, receive, headers, raw_path)
        match scope["method"], raw_path:
            case "GET", b"/status":
                return self._local(replace(self._status(), traffic=self._traffic()).to_json())
            case "POST", b"/reauthenticate":
                await self._reauthenticate()
                return self._local({"accepted": True, "status": self._status().to_json()}, 202)
        raise OperationUnknown("There is nothing at this path.", action=f"Use a path under {PREFIX}.")

    async def _answer_api(self, scope: Scope, receive: Receive, headers: Headers, raw_path: bytes) -> HttpReply:
        method: str = scope["method"]
        own = (method.encode(), raw_path)
        if own in FROM_STATUS or own in OPENING:
            return await self._answer_session(own)
        request = await self._read_request(scope, receive, headers, raw_path)
        is_order = self.orders is not None and self.orders.serves(request.endpoint)
        caller = _read_caller(scope, headers, request.endpoint.answers_within_s, is_order=is_order)
        sign_in = read_sign_in(headers.get(SIGN_IN_HEADER))
        if self.orders is not None and self.orders.serves(request.endpoint):
            refused = self.refuse(request.endpoint, sign_in)
            if refused is not None:
                raise refused
            return self._ordered(await unless_gone(receive, self.orders.call(request, caller, sign_in)))
        try:
            return await self._answer_request(receive, request, caller, sign_in)
        except SessionChanged:
            # What was begun belongs to a session that is over: once more, from the start.
            if asyncio.get_running_loop().time() >= caller.turn_by:
                raise
            return await self._answer_request(receive, request, caller, sign_in)

    async def _answer_trading(
        self, orders: Orders, scope: Scope, receive: Receive, headers: Headers, raw_path: bytes
    ) -> HttpReply:
        method: str = scope["method"]
        content = b"" if method == "GET" else await read_body(receive, headers.get(b"content-length"))
        caller = _read_caller(scope, headers, _ORDER_WITHIN_S, is_order=True)
        sign_in = read_sign_in(headers.get(SIGN_IN_HEADER))
        refused = refuse_sign_in(sign_in, self.sessions.observe()[0].sign_in)
        if refused is not None:
            raise refused
        path = raw_path[len(_TRADING) :].decode("latin-1")
        work = orders.route(method, path, scope.get("query_string", b""), headers, content, caller, sign_in)
        return self._ordered(await unless_gone(receive, work))

    def _ordered(self, reply: HttpReply) -> HttpReply:
        self._count["local"]()
        number = (SIGN_IN_HEADER, str(self.sessions.observe()[0].sign_in).encode())
        return replace(reply, headers=(*reply.headers, number))

    def refuse(self, endpoint: Operation, sign_in: int | None = None) -> IbError | None:
        """Why the present session does not serve ``endpoint``, or is not of the sign-in that is meant."""
        return self._refuse(self.sessions.observe()[0], endpoint, sign_in)

    def _refuse(self, seen: Glance, endpoint: Operation, sign_in: int | None) -> IbError | None:
        refused = refuse_sign_in(sign_in, seen.sign_in)
        if refused is None and not seen.is_open:
            refused = refuse_session(endpoint, self._status(), now=self._wall())
        return refused

    async def _answer_request(
        self, receive: Receive, request: ApiRequest, caller: Caller, sign_in: int | None
    ) -> HttpReply:
        seen, memory = self.sessions.observe()
        refused = self._refuse(seen, request.endpoint, sign_in)
        if refused is not None:
            raise refused
        if request.endpoint.id == SNAPSHOT:
            prices = await unless_gone(receive, self.snapshots.read(request, memory, caller))
            self.sessions.check(memory)
            return self._shared(prices.content, 200, prices.source, prices.fetched_at, memory)
        if request.endpoint.effect == "write":
            await self.reads.prepare(request.endpoint, memory, caller)
            done = await unless_gone(receive, self._writer.write(request, memory, caller))
            return self._shared(done.content, done.status, "upstream", done.fetched_at, memory)
        cached = memory.cache.get(request.key, asyncio.get_running_loop().time())
        if cached is not None:
            return self._shared(cached.content, cached.status, "cache", cached.fetched_at, memory)
        fetched, source = await unless_gone(receive, self.reads.read(request, memory, caller))
        self.sessions.check(memory)
        return self._shared(fetched.content, fetched.status, source, fetched.fetched_at, memory)

    async def _read_request(self, scope: Scope, receive: Receive, headers: Headers, raw_path: bytes) -> ApiRequest:
        key = scope["method"], raw_path, scope.get("query_string", b"")
        has_body = key[0] != "GET" or headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        request = None if has_body else self._requests.get(key)
        if request is not None:
            return request
        request = read_target(self._catalogue, *key)
        is_order = self.orders is not None and self.orders.serves(request.endpoint)
        refused = None if is_order else refuse_operation(request.endpoint, self._refuse_writes)
        if refused is not None:
            raise refused
        content = await read_body(receive, headers.get(b"content-length")) if has_body else b""
        request = with_body(request, content)
        # What the owner permits now may be forbidden the next time.
        if not has_body and request.endpoint.effect == "read":
            if len(self._requests) >= _MOST_REMEMBERED:
                self._requests.clear()
            self._requests[key] = request
        return request

    async def _answer_session(self, own: tuple[bytes, bytes]) -> HttpReply:
        if own in OPENING:
            await self._reauthenticate()
            return self._local(OPENING[own](self._status()))
        status = self._status()
        refused = None if is_signed_in(status) else state_error(status, now=self._wall())
        if refused is not None:
            raise refused
        return self._local(FROM_STATUS[own](status))

    def _local(self, body: object, status: int = 200) -> HttpReply:
        self._count["local"]()
        return json_reply(body, status)

    def _shared(self, content: bytes, status: int, source: str, fetched_at: float, memory: SessionMemory) -> HttpReply:
        self._count[source]()
        age_ms = max(0, int((asyncio.get_running_loop().time() - fetched_at) * 1000))
        headers = (
            (b"ib-source", source.encode()),
            (b"ib-age-ms", str(age_ms).encode()),
            (SIGN_IN_HEADER, str(memory.sign_in).encode()),
        )
        return HttpReply(status, content, headers=headers)

    def _error(self, error: IbError) -> HttpReply:
        self._count["error"]()
        error = self._pacer.heed_penalty(error)
        if isinstance(error, LoginRequired) and error.login is None:
            error.login = self._status().login.url_hint
        reply = error_reply(error)
        number = (SIGN_IN_HEADER, str(self._status().sign_in.number).encode())
        return replace(reply, headers=(*reply.headers, number))


def _read_caller(scope: Scope, headers: Headers, usual_s: float, *, is_order: bool) -> Caller:
    """Whom a request is for, in the fair queue: by its own word, else by its address; and how long it waits."""
    name = headers.get(b"ib-caller", b"")[:_LONGEST_CALLER]
    who = name.decode("latin-1") if name else str((scope.get("client") or ("",))[0])
    turn_s = _ORDER_TURN_S if is_order else DEFAULT_TURN_S
    now = asyncio.get_running_loop().time()
    return Caller(who, read_deadline(headers.get(b"ib-deadline-ms"), now, usual_s, turn_s))


async def _refuse_other(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "not served"})
        return
    message: Any = await receive()
    while message["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        message = await receive()
    await send({"type": "lifespan.shutdown.complete"})
