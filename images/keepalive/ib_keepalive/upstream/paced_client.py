"""A question's way to the gateway: its turn in the line, one exchange, and what that tells the line."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ib_keepalive.pacing.fair_queue import End
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, Flight
from ib_keepalive.upstream.api_request import Question
from ib_keepalive.upstream.client import ConnectionBroken, Exchange
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


class Sender:
    """The only way upstream for what callers ask."""

    def __init__(self, exchange: Exchange, pacer: Pacer) -> None:
        self._exchange = exchange
        self._pacer = pacer

    async def send(self, flight: Flight, name: Hashable, question: Callable[[], Question]) -> Response:
        """The gateway's answer; ``question`` is called when the turn has come.

        PacingLimited when it would not come in time, Abandoned when nobody waits for it any more.
        """
        if not flight.asking:
            raise Abandoned
        place = await self._pacer.turn(flight, name)
        flight.is_sent = True
        end: End = "answered"
        try:
            response = await self._exchange.send(question(), longest_s(flight.operation))
            self._pacer.answered(response.status, response.retry_after_s)
            if response.status == 429:
                self._pacer.check_box()
            return response
        except UpstreamTimeout:
            end = "lost"
            raise
        except UpstreamUnreachable as error:
            end = "answered" if isinstance(error, ConnectionBroken) else "unsent"
            raise
        finally:
            flight.is_sent = False
            self._pacer.done(place, end)
