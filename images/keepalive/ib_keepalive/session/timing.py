"""How long to wait before the next probe: pure, in seconds of the loop's clock."""

from __future__ import annotations

from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.states import BROKEN_TO_GIVE_UP, Verdict
from ibkr.session import SessionState

TICKLE_S = 60.0
STEADY_S = 15.0
AFTER_CHANGE_S = 3.0
CHANGE_LASTS_S = 30.0
WATCHED_S = 2.0
SLOW_S = 30.0
# Requests during a penalty may lengthen it.
BUSY_S = (60.0, 120.0, 300.0)
LONGEST_BUSY_S = 900.0
# Every unanswered probe holds a slot of the gateway, or a place in its queue, until IBKR answers.
HANG_S = (3.0, 15.0, 30.0, 60.0)


def next_probe_s(result: ProbeResult, verdict: Verdict, *, now: float, watched: bool) -> float:
    """Seconds until the next auth/status. ``watched``: a person is at the login page."""
    if result.outcome is Outcome.BUSY:
        patience = BUSY_S[min(max(verdict.busy, 1), len(BUSY_S)) - 1]
        return min(max(result.retry_after_s or 0.0, patience), LONGEST_BUSY_S)
    if verdict.timeouts:
        return HANG_S[min(verdict.timeouts, len(HANG_S)) - 1]
    if watched and verdict.state is not SessionState.AUTHENTICATED:
        return WATCHED_S
    if verdict.state is SessionState.MAINTENANCE:
        return SLOW_S
    if 0 < verdict.broken < BROKEN_TO_GIVE_UP or now - verdict.since < CHANGE_LASTS_S:
        return AFTER_CHANGE_S
    return STEADY_S


def tickles(state: SessionState) -> bool:
    """Whether there may be a session to keep alive."""
    return state not in (
        SessionState.STARTING,
        SessionState.LOGIN_REQUIRED,
        SessionState.UNREACHABLE,
        SessionState.HUNG,
    )
