"""The links of the way to market data and what breaks them, for `ib-mcp doctor` and the tool diagnose.

How a link is asked is the caller's: a check is a coroutine function that says what it found, or raises what is broken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ibkr.errors import IbError, PacingLimited, UpstreamError
from ibkr.field_values import Timing
from ibkr.session import SessionState, Status, refusal

SAMPLE = "AAPL"
PORTFOLIO_ONLY = "left to other programs: portfolio only"
# Nothing will come, however often it is asked for.
NO_QUOTES: frozenset[Timing] = frozenset({"not_subscribed", "not_acknowledged"})


class Link(StrEnum):
    """A way has those that are on it, in this order."""

    STACK = "ib-mcp up"
    MCP_SERVER = "MCP server"
    KEEPALIVE = "keepalive"
    NAME_RESOLUTION = "name resolution"
    TLS_CONNECTION = "TLS connection"
    GATEWAY = "gateway"
    SIGN_IN = "sign-in"
    BROKERAGE_SESSION = "brokerage session"
    ACCOUNTS = "accounts"
    MARKET_DATA = "market data"
    PACING = "pacing"
    # From outside, as a hosted agent comes.
    ADDRESS = "address"
    CERTIFICATE = "certificate"
    CHALLENGE = "challenge"
    RESOURCE_METADATA = "resource metadata"
    SERVER_METADATA = "server metadata"
    REGISTRATION = "registration"
    CONSENT_PAGE = "consent page"


Check = Callable[[], Awaitable[str]]

_BROKEN_BY = {
    Link.GATEWAY: (SessionState.STARTING, SessionState.UNREACHABLE, SessionState.HUNG),
    Link.SIGN_IN: (SessionState.LOGIN_REQUIRED, SessionState.MAINTENANCE),
    Link.BROKERAGE_SESSION: (SessionState.REOPENING, SessionState.COMPETING),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one link; ``error`` is what is broken. ``is_checked`` is false behind the first broken one."""

    link: Link
    detail: str = ""
    error: IbError | None = None
    is_checked: bool = True

    @property
    def holds(self) -> bool:
        return self.is_checked and self.error is None


async def examine(way: Sequence[tuple[Link, Check]]) -> AsyncIterator[Finding]:
    """Each link in turn; after the first broken one the others are not checked.

    A request that is refused for coming too soon says nothing about the link that sent it: what is broken is pacing.
    """
    broken = False
    paced: PacingLimited | None = None
    for link, check in way:
        if paced and link is Link.PACING:
            yield Finding(link, paced.message, paced.advising(_patience(paced.retry_after_s)))
        elif broken or paced:
            yield Finding(link, is_checked=False)
        else:
            try:
                detail = await check()
            except PacingLimited as error:
                paced = error
                yield Finding(link, "the request was refused by pacing", is_checked=False)
            except IbError as error:
                broken = True
                yield Finding(link, error.message, error)
            else:
                yield Finding(link, detail)


def not_refused() -> str:
    """What is found of pacing where no request was refused before."""
    return "no request was refused"


def of_status(link: Link, status: Status, good: str) -> str:
    """``good``, unless the keepalive's ``status`` says that gateway, sign-in or brokerage session is broken."""
    if link is Link.BROKERAGE_SESSION and is_left_to_others(status):
        return PORTFOLIO_ONLY
    error = refusal(status.state, login=status.login.url_hint)
    if error is not None and status.state in _BROKEN_BY[link]:
        raise error
    return good


def is_left_to_others(status: Status) -> bool:
    """Whether the owner wants no brokerage session, so that neither it nor market data can be broken."""
    return status.state is SessionState.PORTFOLIO_ONLY


def of_accounts(found: Sequence[Any]) -> str:
    """Whether there is anything to read."""
    if not found:
        raise UpstreamError("IBKR lists no account.", action="Sign in with another user.")
    return f"{len(found)} to read"


def of_quote(timing: Timing, last: Decimal | bool | str | None, reason: str) -> str:
    """Whether IBKR sends prices of ``SAMPLE``; ``reason`` says why there are none."""
    if timing in NO_QUOTES:
        raise UpstreamError(reason, action="See to it in IBKR's Client Portal, under market-data subscriptions.")
    if timing == "unknown" or last is None:
        raise UpstreamError(
            f"IBKR sends no price of {SAMPLE}.", action="Try again shortly; check the market-data subscriptions."
        )
    return f"{SAMPLE} {last}, {timing.replace('_', ' and ')}"


def _patience(wait_s: float | None) -> str:
    wait = "15 minutes" if wait_s is None else f"{wait_s:g} seconds"
    return f"Wait {wait}, and let nothing else use this gateway or this internet address for IBKR's API."
