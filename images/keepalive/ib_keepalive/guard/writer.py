"""Changing what IBKR keeps for the user and is no order: sent once, and never reported as more than is known."""

from __future__ import annotations

import asyncio
import json

from ib_keepalive.guard.memory.cache import CachedResponse
from ib_keepalive.guard.memory.session_memory import SessionMemory, Sessions
from ib_keepalive.guard.reads.single_flight import SingleFlight
from ib_keepalive.pacing.pacer import Pacer
from ib_keepalive.pacing.shared_call import SharedCall, Waiter
from ib_keepalive.upstream.api_request import ApiRequest
from ib_keepalive.upstream.client import ConnectionBroken
from ib_keepalive.upstream.paced_client import PacedClient
from ib_keepalive.upstream.response import FinalAnswer, Response, read_response
from ibkr.errors import IbError, OutcomeUnknown, UpstreamError, UpstreamTimeout
from ibkr.operation import Operation

# IBKR's own edge says so when what stands behind it was too slow, or went away.
_UNSURE = frozenset({502, 503, 504})


class Writer:
    """Each request is a call of its own, which goes on when its caller leaves after it was sent."""

    def __init__(self, client: PacedClient, pacer: Pacer, sessions: Sessions) -> None:
        self._client = client
        self._sessions = sessions
        self._calls: SingleFlight[CachedResponse] = SingleFlight(pacer.too_late, pacer.joined)

    @property
    def under_way(self) -> int:
        """Requests under way."""
        return len(self._calls)

    async def close(self) -> None:
        await self._calls.close()

    async def write(self, request: ApiRequest, memory: SessionMemory, waiter: Waiter) -> CachedResponse:
        """IBKR's answer; OutcomeUnknown when there is none to what was sent, any other IbError when it was refused.

        SessionChanged when another session began before it was sent.
        """
        sent = asyncio.Event()
        try:
            answer, _ = await self._calls.ask(
                object(), request.endpoint.id, waiter, lambda call: self._send(call, request, memory, sent)
            )
        except UpstreamTimeout as error:
            if sent.is_set():
                raise lost(request.endpoint) from error
            raise
        return answer

    async def _send(
        self, call: SharedCall, request: ApiRequest, memory: SessionMemory, sent: asyncio.Event
    ) -> CachedResponse:
        endpoint = request.endpoint

        def in_turn() -> ApiRequest:
            self._sessions.check(memory)
            sent.set()
            return request

        try:
            response = await self._client.send(call, request.key, in_turn)
        except (UpstreamTimeout, ConnectionBroken, FinalAnswer) as error:
            if sent.is_set():
                raise lost(endpoint) from error
            raise
        finally:
            if sent.is_set():
                memory.note_edit(endpoint)
        return CachedResponse(endpoint, _read(endpoint, response), response.status, asyncio.get_running_loop().time())


def lost(endpoint: Operation) -> IbError:
    """What a caller is told of a change whose answer did not come."""
    return OutcomeUnknown(
        f"{endpoint.id} was sent, and IBKR's answer was lost: it may have been done or not.",
        action="Do not send it again: read first whether it was done.",
    )


def _read(endpoint: Operation, response: Response) -> bytes:
    is_success = 200 <= response.status < 300
    if is_success and "text/plain" in response.media:
        return json.dumps(response.content.decode("utf-8", "replace")).encode()
    if response.status in _UNSURE:
        raise lost(endpoint)
    try:
        _, content = read_response(response)
    except UpstreamError as error:
        if is_success and (type(error) is UpstreamError or "html" in response.media):
            # Cut short, or no data at all: something was done, or begun.
            raise lost(endpoint) from error
        raise
    return content
