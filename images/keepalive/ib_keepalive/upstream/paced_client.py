"""A request's way to the gateway: its turn in the queue, one exchange, and what that tells the queue."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ib_keepalive.pacing.fair_queue import End
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, SharedCall
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken, GatewayClient
from ib_keepalive.upstream.response import Response
from ibkr.errors import UpstreamTimeout, UpstreamUnreachable

# IBKR's own proxy gives up after 10 s with a 503; these take longer by nature.
_USUAL_S = 15.0
_LONG_S = {
    "get_price_history": 30.0,
    "get_scanner_parameters": 30.0,
    "list_exchange_contracts": 30.0,
    "get_performance": 30.0,
    "get_performance_all_periods": 30.0,
    "list_transactions": 30.0,
    "get_price_snapshot": 10.0,
}


def longest_s(operation: str) -> float:
    """How long the gateway may take to answer ``operation``."""
    return _LONG_S.get(operation, _USUAL_S)


class PacedClient:
    """The only way upstream for what callers ask."""

    def __init__(self, gateway: GatewayClient, pacer: Pacer) -> None:
        self._gateway = gateway
        self._pacer = pacer

    async def send(self, call: SharedCall, name: Hashable, request: Callable[[], ApiRequest]) -> Response:
        """The gateway's answer; ``request`` is called when the turn has come.

        PacingLimited when it would not come in time, Abandoned when nobody waits for it any more.
        """
        if not call.asking:
            raise Abandoned
        ticket = await self._pacer.turn(call, name)
        call.is_sent = True
        end: End = "answered"
        try:
            response = await self._gateway.send(request(), longest_s(call.operation))
            self._pacer.answered(response.status, response.retry_after_s)
            if response.status == 429:
                self._pacer.check_penalty()
            return response
        except UpstreamTimeout:
            end = "lost"
            raise
        except UpstreamUnreachable as error:
            end = "answered" if isinstance(error, ConnectionBroken) else "unsent"
            raise
        finally:
            call.is_sent = False
            self._pacer.done(ticket, end)
