"""When the keeper looks next: due times in loop seconds, moved by what it saw and by who is at the login page."""

from __future__ import annotations

from ib_keepalive.session import timing
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.poller import PATIENT_LIMIT_S
from ib_keepalive.session.states import Verdict
from ibkr.session import SIGNED_IN, SessionState

WATCH_LASTS_S = 60.0
_LOST = (Outcome.TIMEOUT, Outcome.SILENT)
_UNANSWERED = (*_LOST, Outcome.REFUSED, Outcome.BROKEN)


class Attention:
    """``busy_until``: nothing is sent before, because IBKR answered 429."""

    def __init__(self, now: float) -> None:
        self.probe_due = now
        self.tickle_due = self._tickle_held_until = now
        self.busy_until = now
        self._watched_until = now
        self._signing_in_until = now
        self._slow_until = now

    def watch(self, now: float) -> None:
        """Somebody is at the login page."""
        self._watched_until = now + WATCH_LASTS_S

    def watch_sign_in(self, now: float) -> None:
        """Somebody signs in, perhaps over an open session."""
        self._watched_until = self._signing_in_until = now + WATCH_LASTS_S

    def look_at_once(self, now: float) -> None:
        self.probe_due = now

    def look_soon(self, now: float, within_s: float = timing.WATCHED_S) -> None:
        self.probe_due = max(min(self.probe_due, now + within_s), self.busy_until)

    def is_slow(self, now: float) -> None:
        """An answer did not come in time."""
        self._slow_until = now + timing.SLOW_LASTS_S

    def limit_s(self, verdict: Verdict, now: float) -> float | None:
        """How long the next answer may take: slow is not dead, so the second look waits longer."""
        return PATIENT_LIMIT_S if verdict.timeouts or now < self._slow_until else None

    def may_tickle(self, verdict: Verdict, now: float) -> bool:
        # A gateway that leaves an answer out gets one request at a time, and not before the next look is due.
        return timing.tickles(verdict) and now >= self.busy_until and not verdict.timeouts

    def probes_by_tickle(self, verdict: Verdict, now: float) -> bool:
        """Whether the next probe should be a tickle, and none that was lost may go out together with it."""
        return timing.probes_by_tickle(verdict) and now >= self._tickle_held_until

    def tickled(self, result: ProbeResult, now: float) -> None:
        """A tickle ended so."""
        self.tickle_due = now + timing.TICKLE_S
        if result.outcome in _LOST:
            self.tickle_due = self._tickle_held_until = now + timing.UNANSWERED_TICKLE_S

    def concluded(
        self, result: ProbeResult, verdict: Verdict, now: float, *, own_tickle: float | None, penalty_s: float
    ) -> None:
        """``result`` led to ``verdict``; ``own_tickle`` is when IBKR's program tickles next, if that is known.

        ``penalty_s``: left of IBKR's penalty.
        """
        if now < self._tickle_held_until and result.outcome not in _UNANSWERED:
            # The one without an answer has gone out by now, if it ever will.
            self._tickle_held_until = now
            self.tickle_due = min(self.tickle_due, now + timing.AFTER_CHANGE_S)
        until = self._signing_in_until if verdict.state is SessionState.AUTHENTICATED else self._watched_until
        wait = timing.next_probe_s(result, verdict, now=now, watched=now < until)
        if result.outcome is Outcome.BUSY:
            if penalty_s:
                # Callers were told to come back when it ends, and then the state should be known.
                wait = min(wait, penalty_s)
            self.busy_until = now + wait
        elif own_tickle is not None and verdict.state in SIGNED_IN:
            wait = timing.before_own_tickle_s(wait, own_tickle - now)
        # A tickle without flags leaves the question open.
        self.probe_due = now if result.outcome is Outcome.ALIVE else now + wait
