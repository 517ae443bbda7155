"""Tools about the session itself; they need no login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ib_mcp.context import ToolContext
from ib_mcp.formats.times import iso
from ib_mcp.gather import gather
from ib_mcp.guard.client import Guard
from ib_mcp.tools.base import Answer, read_tool, session_tool
from ibkr.errors import IbError, PacingLimited, SessionReopening
from ibkr.session import SessionState, Status, refusal

_REOPEN = "Call reopen_session, or try again in a few seconds."
_REOPENS_WITHIN_S = 12
_LOOK_EVERY_S = 0.5
_UNDECIDED = (SessionState.STARTING, SessionState.REOPENING)


@read_tool("Session")
async def get_session_status(context: ToolContext) -> Answer:
    """Is IBKR signed in and usable, live or paper, and if not what to do."""
    return await _of_each(context, _status)


@session_tool("Session")
async def reopen_session(context: ToolContext) -> Answer:
    """Open the brokerage session again after session_reopening. No cure for login_required."""
    return await _of_each(context, _reopen)


async def _status(guard: Guard) -> Status:
    return await guard.status()


async def _reopen(guard: Guard) -> Status:
    status = await guard.status()
    if status.state is not SessionState.AUTHENTICATED:
        status = await guard.reauthenticate()
        with anyio.move_on_after(_REOPENS_WITHIN_S):
            while status.state in _UNDECIDED:
                await anyio.sleep(_LOOK_EVERY_S)
                status = await guard.status()
    return status


async def _of_each(context: ToolContext, ask: Callable[[Guard], Awaitable[Status]]) -> Answer:
    """The one session, or the sessions by gateway; one that cannot be told hides no other."""
    guards = context.guard.each()
    if len(guards) == 1:
        return describe(await ask(context.guard))

    async def described(guard: Guard) -> Answer:
        try:
            return describe(await ask(guard))
        except IbError as error:
            return {"usable": False, **error.envelope()["error"]}

    found = dict(zip(guards, await gather(map(described, guards.values())), strict=True))
    return {"usable": any(session["usable"] for session in found.values()), "gateways": found}


def describe(status: Status) -> Answer:
    """The session in a few words; ``usable`` means that every tool works."""
    answer: Answer = {
        "state": status.state.value,
        "usable": status.state is SessionState.AUTHENTICATED,
        "mode": status.mode,
        "since": iso(status.state_since),
        "observed_s_ago": round(status.age_seconds, 1),
    }
    if status.login.deadline is not None:
        answer["login_expected_to_end"] = iso(status.login.deadline)
    if refused := trouble(status) or penalty(status):
        answer |= {"usable": False, **refused.envelope()["error"]}
    return answer


def penalty(status: Status) -> PacingLimited | None:
    """IBKR's refusal of all requests for some minutes, while it lasts."""
    until = status.pacing.penalty_until
    left = 0.0 if until is None else until - (status.observed_at + status.age_seconds)
    if left <= 0:
        return None
    return PacingLimited("IBKR refuses all requests for a while, because too many were sent.", retry_after_s=left)


def trouble(status: Status) -> IbError | None:
    """Why the brokerage session cannot be used, with the cure; None when it can."""
    refused = refusal(status.state, login=status.login.url_hint)
    return None if refused is None else advised(refused)


def advised(error: IbError) -> IbError:
    """``error`` with the cure that an agent has at hand."""
    return error.advising(_REOPEN) if isinstance(error, SessionReopening) else error
