"""Asking a gateway pod's keepalive on its control port: the status, to open the session, to keep the owner's word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from ib_operator.decision.policy import Policy
from ib_service import strict_json
from ib_service.http.client import fetch
from ib_service.http.reading import NotUnpacked, TooLarge
from ibkr.errors import from_envelope
from ibkr.session import Status

# The sidecar answers from memory.
_STATUS_S = 5.0
# Nothing longer is of use.
_MOST_BYTES = 64 * 1024
# It waits for IBKR's answer to ssodh/init.
_REAUTHENTICATE_S = 60.0


class NoStatus(Exception):
    """There is no answer to use; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request to open the session.

    ``result``: ``accepted``, an error code of ``ibkr.errors``, or ``lost`` when nobody can know. ``is_refused``: IBKR
    was not asked, and should not be for ``delay_s``.
    """

    result: str
    is_refused: bool = False
    delay_s: float = 0.0


async def read_status(client: httpx.AsyncClient, base: str) -> Status:
    """The status at ``base`` (http://ADDRESS:PORT). NoStatus when there is none."""
    try:
        async with asyncio.timeout(_STATUS_S):
            status, content = await fetch(client, "GET", f"{base}/status", most=_MOST_BYTES)
    except (TimeoutError, httpx.TimeoutException):
        raise NoStatus("it does not answer in time") from None
    except httpx.TransportError:
        raise NoStatus("no connection to its control port") from None
    except (TooLarge, NotUnpacked):
        raise NoStatus("its control port answers something else than a status") from None
    if status != 200:
        raise NoStatus(f"its control port answers {status}")
    try:
        return Status.from_json(strict_json.load(content))
    except ValueError:
        raise NoStatus("its /status cannot be read; keepalive and operator may be of different versions") from None


async def reauthenticate(client: httpx.AsyncClient, base: str, *, instance: str, is_person: bool) -> Answer:
    """Ask for the session to be opened again, once; an answer that got lost is not asked for again.

    ``instance`` is the uid of the pod that is meant: another one at its address refuses. ``is_person``: a person asks.
    """
    try:
        async with asyncio.timeout(_REAUTHENTICATE_S):
            body = {"instance": instance, "person": is_person}
            url = f"{base}/reauthenticate"
            status, content = await fetch(client, "POST", url, json=body, timeout=_REAUTHENTICATE_S, most=_MOST_BYTES)
    except httpx.ConnectError:
        return Answer("unreachable", is_refused=True)
    except (TimeoutError, httpx.TransportError, TooLarge, NotUnpacked):
        return Answer("lost")
    if status == 202:
        return Answer("accepted")
    try:
        error = from_envelope(status, strict_json.load(content))
    except ValueError:
        error = None
    if error is None:
        return Answer("lost")
    return Answer(error.code, is_refused=True, delay_s=error.retry_after_s or 0.0)


async def set_policy(client: httpx.AsyncClient, base: str, policy: Policy) -> bool:
    """Hand over the owner's word, which binds the keeper until the next; whether it was taken."""
    body = {"paused": policy.paused, "reopen": policy.reauth_enabled, "max_attempts": policy.max_attempts}
    try:
        async with asyncio.timeout(_STATUS_S):
            status, _ = await fetch(client, "PUT", f"{base}/policy", json=body, most=_MOST_BYTES)
    except (TimeoutError, httpx.TransportError, TooLarge, NotUnpacked):
        return False
    return 200 <= status < 300
