"""uvicorn's HTTP protocol with bounds on what a peer may send, how slowly, and how slowly it may read.

A request that comes in one piece, as nearly all do, costs no timer.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ib_service.http.joined import Joined
from ib_service.http.limits import Connections, Limits
from ibkr.errors import IbError, InvalidRequest, PacingLimited

# Neither begun nor awaited; its head; its body; refused, and what still comes is thrown away.
Phase = Literal["none", "head", "body", "refused"]

# A peer that is still sending would lose the refusal if the connection were closed on what it sends.
_LINGER_S = 1.0
_LINGER_BYTES = 1024 * 1024


class _Refused(Exception):
    """Ends the parser's work; it is caught where the parser was called."""


class BoundedHttp(HttpToolsProtocol):
    """One connection of the listener whose connections are ``peers``."""

    peers: Connections

    _phase: Phase = "none"
    _timed: Phase = "none"
    _timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    # Bytes since the message began, or since the last byte of its body.
    _fed = 0
    _body = 0
    _refusal = 400
    _is_spare = False

    @property
    def is_idle(self) -> bool:
        return self._phase == "none" and (self.cycle is None or self.cycle.response_complete)

    def drop(self) -> None:
        self.transport.abort()

    def hold(self) -> None:
        """Let no time run out until something comes again."""
        self._stop_timer()
        self._unset_keepalive_if_required()

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.peers.admit(self):
            self._is_spare = True
            self.app = _health_only(self.app, self.peers.limits)
        self._phase = "head"
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.peers.forget(self)
        for timer in (self._timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._unread_timer = None
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        most = self.peers.limits.head_bytes
        if self._phase == "refused":
            self._fed += len(data)
            if self._fed > _LINGER_BYTES:
                self.drop()
            return
        if len(data) + self._fed <= most:
            self._feed(data, most)
        else:
            self._feed_in_parts(data, most)
        if self._phase != self._timed:
            self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.peers.limits.unread_answer_s, self.drop)

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._phase = "head"
        self._body = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # httptools keeps white space after a header's value, which is no part of it.
        super().on_header(name, value.strip(b" \t"))
        if len(self.headers) > self.peers.limits.headers:
            self._stop_parsing(431)

    def on_headers_complete(self) -> None:
        for name, value in self.headers:
            # Longer ones are no number that a body could have, and Python refuses to read them.
            if name == b"content-length" and len(value) > 18:
                self._stop_parsing(400)
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._watch_answer(self.cycle)
        self._phase = "body"
        self._fed = 0
        if len(self.pipeline) > self.peers.limits.pipelined:
            self._stop_parsing(400)

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        self._body += len(body)
        if self._body > self.peers.limits.body_bytes:
            self._stop_parsing(413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = "none"
        self._fed = 0
        if self._timer is not None:
            self._stop_timer()
        super().on_message_complete()

    def _watch_answer(self, cycle: RequestResponseCycle) -> None:
        pieces = Joined(self.transport, self.loop)

        def complete() -> None:
            pieces.flush()
            # What nobody read of the request would be kept as long as the connection.
            cycle.body = bytearray()
            self.on_response_complete()
            if self._is_spare:
                self.transport.close()

        cycle.transport = pieces  # type: ignore[assignment]
        cycle.on_response = complete

    def handle_websocket_upgrade(self) -> None:
        self._phase = "none"
        self._watch()
        self.peers.forget(self)
        super().handle_websocket_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing for the log: the request is answered as if it had not asked for another protocol."""

    # Bounds.

    def _feed_in_parts(self, data: bytes, most: int) -> None:
        start = 0
        while start < len(data) and self._phase != "refused":
            end = len(data) if self._phase == "body" else start + most - self._fed
            self._feed(data[start:end], most)
            start = end

    def _feed(self, data: bytes, most: int) -> None:
        self._fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        else:
            # Without a message too: what comes after one that closes the connection is thrown away by the parser.
            if self._fed >= most and self._phase != "refused":
                self._refuse(431)

    def _stop_parsing(self, status: int) -> None:
        self._refusal = status
        raise _Refused

    def _watch(self) -> None:
        """Let the time begin in which the phase has to end."""
        self._stop_timer()
        self._timed = self._phase
        limits = self.peers.limits
        if self._phase == "head":
            self.peers.wait_for(self)
            head_s = limits.reserved_head_s if self._is_spare else limits.head_s
            self._timer = self.loop.call_later(head_s, self._expire)
        elif self._phase == "body":
            self.peers.wait_for(self)
            self._timer = self.loop.call_later(limits.body_s, self._expire)

    def _stop_timer(self) -> None:
        self._timed = "none"
        self.peers.finished(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        if self._phase == "head" and not self._fed:
            self.transport.close()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer in the app's place, where nothing else is being answered, and close."""
        self.peers.log_refusal(status)
        self._stop_timer()
        cycle = self.cycle
        if self._phase == "body":
            can_say = not cycle.response_started and not self.pipeline
        else:
            can_say = cycle is None or cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            # Nothing can be written any more, not even that a body may come.
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
        self.pipeline.clear()
        self._phase = self._timed = "refused"
        self._fed = 0
        if not can_say or self.transport.is_closing():
            self.drop()
            return
        self.transport.write(_response(status, _reason(status, self.peers.limits)))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._timer = self.loop.call_later(_LINGER_S, self.drop)
        else:
            self.transport.close()


def bounded_http(peers: Connections) -> type[BoundedHttp]:
    """The protocol class of one listener."""
    return type("BoundedHttp", (BoundedHttp,), {"peers": peers})


def _health_only(app: Any, limits: Limits) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in limits.health:
            await app(scope, receive, send)
            return
        busy = PacingLimited("This port has as many callers as it takes.", retry_after_s=1, status=503)
        content = _body_of(busy)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        headers += [(name.lower().encode(), value.encode()) for name, value in busy.headers().items()]
        await send({"type": "http.response.start", "status": busy.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return serve


def _reason(status: int, limits: Limits) -> IbError:
    match status:
        case 408:
            message = f"The request did not arrive within {limits.head_s:g} s, or its body within {limits.body_s:g} s."
        case 413:
            message = f"The request's body is larger than {limits.body_bytes // 1024} KiB."
        case 431:
            most = f"{limits.head_bytes // 1024} KiB or more than {limits.headers}"
            message = f"The request's headers are larger than {most}."
        case _:
            message = "This is no HTTP request that can be read."
    return InvalidRequest(message, status=status)


def _response(status: int, error: IbError) -> bytes:
    content = _body_of(error)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + content


def _body_of(error: IbError) -> bytes:
    return json.dumps(error.envelope(), separators=(",", ":")).encode()
