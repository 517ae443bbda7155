"""A middleware of aiohttp's client, which by itself may send a request twice."""

from __future__ import annotations

import aiohttp


class ConnectionLost(aiohttp.ClientError):
    """The connection broke after a request was sent on it, perhaps."""


async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp by itself sends all but POST again when the connection breaks.

    Who counts requests would count it twice, or do twice what it asks for.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(str(error)) from error
