"""How long to wait before the next probe: pure, in seconds of the loop's clock."""

from __future__ import annotations

from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.states import BROKEN_TO_GIVE_UP, Verdict
from ibkr.session import SessionState, is_loading

TICKLE_S = 60.0
# A tickle without an answer may wait in the gateway and go out with the next one: IBKR takes one a second. With the
# longest step to the next look, and what was waited for its answer, it stays below IBKR's shorter idle limit.
UNANSWERED_TICKLE_S = 200.0
STEADY_S = 15.0
AFTER_CHANGE_S = 3.0
OPENED_S = 1.0
# IBKR loads the accounts within a second or two of an opening, and somebody waits for it.
LOADING_S = 0.5
CHANGE_LASTS_S = 30.0
REOPENING_S = 5.0
REOPENING_LASTS_S = 600.0
WATCHED_S = 2.0
SLOW_S = 30.0
# Requests during a penalty may lengthen it; without any for some minutes the sign-in ends.
BUSY_S = (60.0, 120.0, 180.0)
LONGEST_BUSY_S = 900.0
# Every unanswered probe holds a slot of the gateway, or a place in its queue, until IBKR answers.
HANG_S = (3.0, 15.0, 30.0, 60.0)
# After a late answer the next ones get longer, for as long.
SLOW_LASTS_S = 300.0
# IBKR ends an idle brokerage session after five minutes by one page, after six by another.
IDLE_S = 360.0
# Before IBKR's program tickles by itself there must be time to see a loss and to mend it.
AHEAD_OF_OWN_TICKLE_S = 7.0


def next_probe_s(result: ProbeResult, verdict: Verdict, *, now: float, watched: bool) -> float:
    """Seconds until the next auth/status. ``watched``: a person is at the login page."""
    if result.outcome is Outcome.BUSY:
        patience = BUSY_S[min(max(verdict.busy, 1), len(BUSY_S)) - 1]
        return min(max(result.retry_after_s or 0.0, patience), LONGEST_BUSY_S)
    if verdict.timeouts:
        return HANG_S[min(verdict.timeouts, len(HANG_S)) - 1]
    if is_loading(verdict.flags) and now - verdict.since < CHANGE_LASTS_S:
        return LOADING_S
    if watched:
        return WATCHED_S
    if verdict.state is SessionState.MAINTENANCE:
        return SLOW_S
    if 0 < verdict.broken < BROKEN_TO_GIVE_UP or now - verdict.since < CHANGE_LASTS_S:
        return AFTER_CHANGE_S
    if verdict.state is SessionState.REOPENING and now - verdict.since < REOPENING_LASTS_S:
        return REOPENING_S
    return STEADY_S


def before_own_tickle_s(wait: float, own_tickle_s: float) -> float:
    """``wait``, or less where a look just before the program's tickle, in ``own_tickle_s``, would come sooner."""
    ahead = own_tickle_s - AHEAD_OF_OWN_TICKLE_S
    return min(wait, ahead) if ahead > 1 else wait


def tickles(verdict: Verdict) -> bool:
    """Whether there may be a session to keep alive: slow or broken answers do not say that there is none."""
    if verdict.state is SessionState.UNREACHABLE:
        return verdict.reachable
    if verdict.state is SessionState.STARTING:
        # Nothing was heard for long because IBKR refuses to answer.
        return verdict.busy > 0
    return verdict.state is not SessionState.LOGIN_REQUIRED


def probes_by_tickle(verdict: Verdict) -> bool:
    """Whether the next probe should be a tickle: where few requests are wise, the one that keeps the session alive."""
    return tickles(verdict) and bool(verdict.busy or verdict.timeouts)
