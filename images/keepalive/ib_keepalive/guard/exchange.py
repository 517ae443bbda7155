"""One request to the gateway with our own time limit: it may never answer by itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import aiohttp
import httpx
import structlog

from ib_keepalive.guard.question import Question
from ib_keepalive.guard.reading import LARGEST_ANSWER, FinalAnswer, Response
from ib_keepalive.metrics import Metrics
from ibkr.errors import UpstreamTimeout, UpstreamUnreachable

log = structlog.get_logger("ib_keepalive.guard")

_CONNECT_S = 5.0
_HEADERS = [(b"User-Agent", b"ib-mcp"), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]
_TIMEOUT = {"connect": _CONNECT_S, "read": None, "write": None, "pool": _CONNECT_S}


class ConnectionBroken(UpstreamUnreachable):
    """The connection ended before the answer was complete; the request may have been carried out."""


class Exchange:
    """Sends to the gateway at ``url``, measures, and turns every failure of the network into an IbError.

    Uses the transport without ``httpx.AsyncClient``, whose cookies, redirects and merging of URLs (none of them wanted
    here) take half as long again.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, metrics: Metrics) -> None:
        self._transport = transport
        self._metrics = metrics
        self._base = url.rstrip("/")

    async def send(self, question: Question, within_s: float) -> Response:
        """The gateway's answer as it is. UpstreamUnreachable, ConnectionBroken, UpstreamTimeout or FinalAnswer."""
        operation = question.endpoint.id
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = "cancelled"
        self._metrics.upstream_in_flight.inc()
        try:
            async with asyncio.timeout(within_s):
                response = await self._send(question)
            outcome = str(response.status)
            return response
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            outcome = "timeout"
            raise UpstreamTimeout(f"IBKR's gateway did not answer within {within_s:.3g} s.") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            outcome = "refused"
            raise UpstreamUnreachable("IBKR's gateway does not accept connections.", retry_after_s=5) from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError):
            outcome = "broken"
            raise ConnectionBroken("The connection to IBKR's gateway broke.", retry_after_s=2) from None
        except FinalAnswer:
            outcome = "too_large"
            raise
        finally:
            took = clock() - started
            self._metrics.upstream_in_flight.dec()
            self._metrics.upstream_requests.labels(operation, outcome).inc()
            self._metrics.upstream_seconds.labels(operation).observe(took)
            if outcome != "200":
                log.info("gateway answered", operation=operation, outcome=outcome, seconds=round(took, 3))

    async def _send(self, question: Question) -> Response:
        # A request built here carries nothing of the caller's: no cookie, origin, token or forwarding header.
        request = httpx.Request(
            question.endpoint.method,
            self._base + question.target,
            headers=_HEADERS if question.body is None else [*_HEADERS, (b"Content-Type", b"application/json")],
            content=question.body,
            extensions={"timeout": _TIMEOUT},
        )
        response = await self._transport.handle_async_request(request)
        async with contextlib.aclosing(response):
            chunks, size = [], 0
            async for chunk in cast(httpx.AsyncByteStream, response.stream):
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise FinalAnswer(f"IBKR's answer is larger than {LARGEST_ANSWER >> 20} MiB.")
                chunks.append(chunk)
        return Response(
            response.status_code,
            response.headers.get("content-type", "").lower(),
            b"".join(chunks),
            _seconds(response.headers.get("retry-after")),
        )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
