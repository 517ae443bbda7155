"""The data port as an ASGI app: routes, the order of checks, and one envelope for every error."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import httpx
import structlog

from ib_keepalive.guard.access import Token, refuse_browsers
from ib_keepalive.guard.admission import refuse_effect, refuse_session
from ib_keepalive.guard.exchange import Exchange
from ib_keepalive.guard.pacer import Pacer
from ib_keepalive.guard.question import PREFIX, read_target, with_body
from ib_keepalive.guard.reading import read_response
from ib_keepalive.guard.wire import (
    Answer,
    CallerGone,
    Receive,
    Scope,
    Send,
    error_answer,
    json_answer,
    read_body,
    send_answer,
)
from ib_keepalive.metrics import Metrics
from ib_keepalive.settings import KeepaliveSettings
from ibkr import catalogue
from ibkr.errors import IbError, OperationUnknown, UpstreamError
from ibkr.session import Status

log = structlog.get_logger("ib_keepalive.guard")


class Guard:
    """An ASGI app. ``status`` is the keeper's view of the session; ``reauthenticate`` asks it to open the session.

    ``wall`` is the calendar's clock, for the end of a maintenance.
    """

    def __init__(
        self,
        settings: KeepaliveSettings,
        client: httpx.AsyncClient,
        metrics: Metrics,
        *,
        status: Callable[[], Status],
        reauthenticate: Callable[[], Awaitable[object]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._token = Token(settings.token.get_secret_value())
        self._metrics = metrics
        self._status = status
        self._reauthenticate = reauthenticate
        self._wall = wall
        self._catalogue = catalogue.load()
        self._exchange = Exchange(client, metrics)
        self.pacer = Pacer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that runs for callers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_other(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except CallerGone:
            return
        except IbError as error:
            self._metrics.answers.labels("error").inc()
            answer = error_answer(error)
        except Exception:
            log.exception("a request failed in the guard")
            answer = error_answer(UpstreamError("The guard failed.", action="Report this with its log."))
        await send_answer(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        if raw_path == b"/healthz":
            return json_answer({"ok": True})
        headers = dict(scope["headers"])
        refuse_browsers(headers)
        self._token.check(headers)
        match scope["method"], raw_path:
            case "GET", b"/status":
                return json_answer(self._status().to_json())
            case "POST", b"/reauthenticate":
                await self._reauthenticate()
                return json_answer({"accepted": True, "status": self._status().to_json()}, 202)
        return await self._ask(scope, receive, headers, raw_path)

    async def _ask(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], raw_path: bytes) -> Answer:
        if not raw_path.startswith(PREFIX.encode()):
            raise OperationUnknown("There is nothing at this path.", action=f"Use a path under {PREFIX}.")
        question = read_target(self._catalogue, scope["method"], raw_path, scope.get("query_string", b""))
        refused = refuse_effect(question.endpoint)
        if refused is not None:
            raise refused
        question = with_body(question, await read_body(receive, headers.get(b"content-length")))
        unready = refuse_session(question.endpoint, self._status(), now=self._wall())
        if unready is not None:
            raise unready
        response = await self._exchange.send(question, 15.0)
        read_response(response)
        self._metrics.answers.labels("upstream").inc()
        return Answer(response.status, response.content, headers=((b"ib-source", b"upstream"), (b"ib-age-ms", b"0")))


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
