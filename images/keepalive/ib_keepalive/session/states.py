"""From what was seen to the session's state: pure decisions, one observation at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ib_keepalive.session.observation import Outcome, ProbeResult
from ibkr.session import AuthStatus, SessionState

# IBKR's program takes up to three seconds to listen; a slow machine gets ten times that.
START_GRACE_S = 30.0
# One lost answer is a hiccup; each further probe of a stuck gateway holds one of its five slots.
TIMEOUTS_TO_HANG = 2
BROKEN_TO_GIVE_UP = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state and how it came about. Times are the loop's clock, in seconds.

    ``concluded_at`` is when an observation last said something about the session; failures count in a row.
    """

    state: SessionState
    since: float
    concluded_at: float
    reason: str = "nothing was seen yet"
    flags: AuthStatus = field(default_factory=AuthStatus)
    reachable: bool = False
    timeouts: int = 0
    broken: int = 0
    busy: int = 0


def decide(
    result: ProbeResult,
    before: Verdict,
    *,
    now: float,
    started: float,
    in_maintenance: bool,
    is_portfolio_only: bool = False,
) -> Verdict:
    """The verdict after ``result``. ``in_maintenance``: the calendar says that IBKR is down at this hour.

    ``is_portfolio_only``: the brokerage session is left to others, so its absence is no trouble.
    """
    after = _decide(result, before, now, started, in_maintenance)
    if is_portfolio_only and after.state in (SessionState.REOPENING, SessionState.COMPETING):
        reason = "somebody is signed in, and the brokerage session is left to other programs"
        since = before.since if before.state is SessionState.PORTFOLIO_ONLY else now
        return replace(after, state=SessionState.PORTFOLIO_ONLY, since=since, reason=reason)
    return after


def _decide(result: ProbeResult, before: Verdict, now: float, started: float, in_maintenance: bool) -> Verdict:
    match result.outcome:
        case Outcome.FLAGS:
            assert result.flags is not None
            state, reason = _from_flags(result.flags, in_maintenance)
            return _conclude(before, state, reason, now, result.flags)
        case Outcome.NO_BRIDGE:
            return _conclude(before, SessionState.REOPENING, result.detail, now, AuthStatus(connected=True))
        case Outcome.SIGNED_OUT:
            return _conclude(before, SessionState.LOGIN_REQUIRED, result.detail, now)
        case Outcome.MAINTENANCE:
            return _conclude(before, SessionState.MAINTENANCE, result.detail, now)
        case Outcome.ALIVE | Outcome.BUSY:
            busy = before.busy + 1 if result.outcome is Outcome.BUSY else 0
            if before.state in (SessionState.HUNG, SessionState.UNREACHABLE):
                before = _conclude(before, SessionState.STARTING, "IBKR answers again", now)
            return replace(before, reachable=True, timeouts=0, broken=0, busy=busy)
        case Outcome.UNAVAILABLE:
            is_down = in_maintenance or before.state is SessionState.MAINTENANCE
            return _broken(result, before, now, SessionState.MAINTENANCE, at_once=is_down)
        case Outcome.BROKEN | Outcome.NO_RIGHTS if in_maintenance:
            return _broken(result, before, now, SessionState.MAINTENANCE, at_once=True)
        case Outcome.BROKEN | Outcome.NO_RIGHTS:
            return _broken(result, before, now, SessionState.UNREACHABLE)
        case Outcome.TIMEOUT:
            return _timed_out(before, now, in_maintenance)
        case Outcome.REFUSED | Outcome.SILENT:
            if before.state is SessionState.STARTING and now - started < START_GRACE_S:
                return replace(before, reachable=False, reason=result.detail)
            return _conclude(before, SessionState.UNREACHABLE, result.detail, now, reachable=False)


def forget(before: Verdict, reason: str, *, now: float, concluded_at: float | None = None) -> Verdict:
    """The verdict when nothing that was seen before counts any more; a signed-out gateway stays one."""
    if before.state is SessionState.LOGIN_REQUIRED:
        return before
    return Verdict(SessionState.STARTING, now, before.concluded_at if concluded_at is None else concluded_at, reason)


def expect_session(before: Verdict, *, now: float) -> Verdict:
    """The verdict when a sign-in was noticed over an open session, which is another user's or over."""
    if before.state not in (SessionState.AUTHENTICATED, SessionState.COMPETING):
        return before
    flags = AuthStatus(connected=True)
    return replace(before, state=SessionState.REOPENING, since=now, reason="somebody signed in anew", flags=flags)


def _from_flags(flags: AuthStatus, in_maintenance: bool) -> tuple[SessionState, str]:
    if flags.competing:
        return SessionState.COMPETING, "another session of the same user is active"
    if not flags.connected:
        if in_maintenance:
            return SessionState.MAINTENANCE, "the gateway is not connected to IBKR in its maintenance hours"
        return SessionState.REOPENING, "the gateway is not connected to IBKR"
    if not flags.authenticated:
        return SessionState.REOPENING, "the brokerage session is not open"
    if flags.established is False:
        return SessionState.REOPENING, "IBKR is loading the account data"
    return SessionState.AUTHENTICATED, "the brokerage session is open"


def _broken(result: ProbeResult, before: Verdict, now: float, state: SessionState, *, at_once: bool = False) -> Verdict:
    broken = before.broken + 1
    if broken < BROKEN_TO_GIVE_UP and not at_once:
        return replace(before, reachable=True, timeouts=0, broken=broken)
    return replace(_conclude(before, state, result.detail, now), broken=broken)


def _timed_out(before: Verdict, now: float, in_maintenance: bool) -> Verdict:
    timeouts = before.timeouts + 1
    if timeouts < TIMEOUTS_TO_HANG:
        return replace(before, reachable=True, timeouts=timeouts)
    if in_maintenance:
        return replace(
            _conclude(before, SessionState.MAINTENANCE, "IBKR does not answer in its maintenance hours", now),
            timeouts=timeouts,
        )
    reason = "the gateway is up, but IBKR's answers do not arrive"
    return replace(_conclude(before, SessionState.HUNG, reason, now), timeouts=timeouts)


def _conclude(
    before: Verdict,
    state: SessionState,
    reason: str,
    now: float,
    flags: AuthStatus | None = None,
    *,
    reachable: bool = True,
) -> Verdict:
    return Verdict(
        state=state,
        since=before.since if state is before.state else now,
        concluded_at=now,
        reason=reason,
        flags=AuthStatus() if flags is None else flags,
        reachable=reachable,
    )
