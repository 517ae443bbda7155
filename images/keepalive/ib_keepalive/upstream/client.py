"""One request to the gateway with our own time limit: it may never answer by itself."""

from __future__ import annotations

import asyncio

import aiohttp
import httpx
import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.response import FinalAnswer, Response
from ib_keepalive.upstream.transport import fetching
from ibkr.errors import UpstreamTimeout, UpstreamUnreachable

log = structlog.get_logger("ib_keepalive.guard")

# What changes something takes a connection of its own: on one that was idle and is being closed it would be lost, and
# nobody could tell whether it was done.
_CHANGING = frozenset({"trade", "write"})
# aiohttp's limit for connecting is a TimeoutError too.
_REFUSED = (httpx.ConnectError, httpx.ConnectTimeout, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class ConnectionBroken(UpstreamUnreachable):
    """The connection ended before the answer was complete; the request may have been carried out."""


class GatewayClient:
    """Sends to the gateway at ``url``, measures, and turns every failure of the network into an IbError."""

    def __init__(self, transport: httpx.AsyncBaseTransport, url: str, metrics: Metrics) -> None:
        self._fetch = fetching(transport)
        self._metrics = metrics
        self._base = url.rstrip("/")

    async def send(self, request: ApiRequest, within_s: float) -> Response:
        """The gateway's answer as it is. UpstreamUnreachable, ConnectionBroken, UpstreamTimeout or FinalAnswer."""
        operation = request.endpoint.id
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = "cancelled"
        self._metrics.upstream_in_flight.inc()
        try:
            async with asyncio.timeout(within_s):
                alone = request.endpoint.effect in _CHANGING
                response = await self._fetch(request.endpoint.method, self._base + request.target, request.body, alone)
            outcome = str(response.status)
            return response
        except _REFUSED:
            outcome = "refused"
            raise UpstreamUnreachable("IBKR's gateway does not accept connections.", retry_after_s=5) from None
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            outcome = "timeout"
            raise UpstreamTimeout(f"IBKR's gateway did not answer within {within_s:.3g} s.") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError):
            outcome = "broken"
            raise ConnectionBroken("The connection to IBKR's gateway broke.", retry_after_s=2) from None
        except FinalAnswer:
            outcome = "too_large"
            raise
        finally:
            took = clock() - started
            self._metrics.upstream_in_flight.dec()
            self._metrics.note_upstream(operation, outcome, took)
            if outcome != "200":
                log.info("gateway answered", operation=operation, outcome=outcome, seconds=round(took, 3))
