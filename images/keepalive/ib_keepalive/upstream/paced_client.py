"""A request's way to the gateway: its turn in the queue, one round trip, and what that tells the queue."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ib_keepalive.pacing.fair_queue import End
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import Abandoned, SharedCall
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken, GatewayClient
from ib_keepalive.upstream.response import Response
from ibkr.errors import UpstreamTimeout, UpstreamUnreachable


class PacedClient:
    """The only way upstream for what callers ask. ``heard`` is called at each good answer: IBKR is alive."""

    def __init__(self, gateway: GatewayClient, pacer: Pacer, heard: Callable[[], None]) -> None:
        self._gateway = gateway
        self._pacer = pacer
        self._heard = heard

    async def send(self, call: SharedCall, name: Hashable, request: Callable[[], ApiRequest]) -> Response:
        """The gateway's answer; ``request`` is called when the turn has come, and nothing is sent when it raises.

        PacingLimited when it would not come in time, Abandoned when nobody waits for it any more.
        """
        if not call.waiters:
            raise Abandoned
        ticket = await self._pacer.turn(call, name)
        end: End = "unsent"
        try:
            made = request()
            call.is_sent, end = True, "answered"
            response = await self._gateway.send(made, made.endpoint.answers_within_s)
            self._pacer.note(ticket, response.status, response.retry_after_s)
            if response.status == 200:
                self._heard()
            if response.status == 429:
                self._pacer.check_penalty(made.endpoint.id)
            return response
        except UpstreamTimeout:
            end = "lost"
            raise
        except UpstreamUnreachable as error:
            if not isinstance(error, ConnectionBroken):
                end = "unsent"
                self._pacer.gateway_gone()
            raise
        finally:
            call.is_sent = False
            self._pacer.done(ticket, end)
