"""Asking the gateway one thing at a time, with a hard limit on how long an answer may take."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import httpx

from ib_keepalive.metrics import Metrics
from ib_keepalive.session.observation import Outcome, ProbeResult, parse_response
from ib_service.http.client import read_body
from ib_service.http.reading import NotUnpacked, TooLarge
from ibkr import catalogue

ANSWER_LIMIT_S = 5.0
# What the second try gets, and every tickle: slow is not dead.
PATIENT_LIMIT_S = 15.0
_LARGEST_ANSWER = 256 * 1024
# Answered by IBKR's program itself, without asking IBKR: it tells a stuck connection from a dead program.
_LOCAL_PATH = "/v1/am/x"


class Pacing(Protocol):
    """The account of all requests to the gateway."""

    async def reserve(self, operation: str) -> None:
        """Wait until one may be sent, a second or two at most."""

    def answered(self, status: int, retry_after_s: float | None = None) -> None:
        """One was answered with this HTTP status."""

    def penalty_left(self) -> float:
        """Seconds for which IBKR refuses all requests; 0 when it does not."""


class Poller:
    """The keeper's own requests. ``is_program``: IBKR's gateway program is there, with pages of its own."""

    def __init__(self, client: httpx.AsyncClient, metrics: Metrics, pacing: Pacing, *, is_program: bool = True) -> None:
        self._client = client
        self._metrics = metrics
        self._pacing = pacing
        self._is_program = is_program

    async def ask(
        self, operation: str, body: dict[str, Any] | None = None, *, limit_s: float | None = None
    ) -> tuple[ProbeResult, Any]:
        """What the catalogue's ``operation`` (without path parameters) showed, and its JSON body if it had one."""
        endpoint = catalogue.load()[operation]
        # IBKR's edge refuses a POST without Content-Length; an empty object is always a safe body.
        sent = {"json": body or {}} if endpoint.method == "POST" else {}
        return await self.send(operation, endpoint.method, endpoint.path, limit_s=limit_s, **sent)

    async def send(
        self, operation: str, method: str, path: str, *, limit_s: float | None = None, **body: Any
    ) -> tuple[ProbeResult, Any]:
        """The same for any path below the API's prefix; ``body`` is ``json`` or ``data`` (a form)."""
        await self._pacing.reserve(operation)
        loop = asyncio.get_running_loop()
        started = loop.time()
        result, answer = await self._send(operation, method, f"/v1/api{path}", limit_s or ANSWER_LIMIT_S, body)
        latency_ms = round((loop.time() - started) * 1000, 1)
        if result.outcome is Outcome.TIMEOUT and self._is_program and not await self._answers_locally():
            return ProbeResult(Outcome.SILENT, detail="the gateway accepts connections and answers nothing"), None
        if result.outcome in (Outcome.TIMEOUT, Outcome.REFUSED):
            return result, answer
        return replace(result, latency_ms=latency_ms), answer

    async def _send(
        self, operation: str, method: str, path: str, limit_s: float, body: dict[str, Any]
    ) -> tuple[ProbeResult, Any]:
        with self._measure(operation) as outcome:
            try:
                async with asyncio.timeout(limit_s), self._client.stream(method, path, **body) as response:
                    outcome["status"] = str(response.status_code)
                    content = await _read(response)
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    result, answer = parse_response(response.status_code, headers, content)
                    self._pacing.answered(response.status_code, result.retry_after_s)
                    return replace(result, status=response.status_code), answer
            except (TimeoutError, httpx.TimeoutException):
                outcome["status"] = "timeout"
                return ProbeResult(Outcome.TIMEOUT, detail=f"no answer within {limit_s:g} s"), None
            except httpx.ConnectError as error:
                outcome["status"] = "refused"
                return ProbeResult(Outcome.REFUSED, detail=_why(error)), None
            except (httpx.HTTPError, OSError):
                outcome["status"] = "broken"
                return ProbeResult(Outcome.BROKEN, detail="the connection broke before the answer was complete"), None

    async def _answers_locally(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S), self._client.stream("GET", _LOCAL_PATH):
                return True
        except (TimeoutError, httpx.HTTPError, OSError):
            return False

    @contextmanager
    def _measure(self, operation: str) -> Any:
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome = {"status": "cancelled"}
        self._metrics.upstream_in_flight.inc()
        try:
            yield outcome
        finally:
            self._metrics.upstream_in_flight.dec()
            self._metrics.note_upstream(operation, outcome["status"], loop.time() - started)


async def _read(response: httpx.Response) -> bytes:
    """The body, or nothing where it is none that can be used."""
    try:
        return await read_body(response, _LARGEST_ANSWER, packed=True)
    except (TooLarge, NotUnpacked):
        return b""


def _why(error: httpx.ConnectError) -> str:
    if isinstance(error.__cause__, aiohttp.ClientSSLError):
        return "the gateway's TLS certificate is not accepted"
    return "the gateway's port does not accept connections"
