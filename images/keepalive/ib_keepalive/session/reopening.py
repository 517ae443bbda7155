"""When the brokerage session may be opened: the rules for asking, and the one budget of all openings. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_keepalive.session.policy import Policy
from ib_keepalive.session.states import Verdict
from ibkr.errors import IbError, OperationForbidden, PacingLimited, SessionReopening
from ibkr.session import SessionState, refusal

# Between two ssodh/init, whoever asks; IBKR's gateway runs its own chain for as long after a sign-in.
GAP_S = 25.0
LOADING_S = 60.0
# IBKR takes an opening without an effect while it is not connected itself.
DISCONNECTED_S = 120.0
# After each attempt of a bad spell; the owner is told once the quick ones are made.
PAUSES_S = (30.0, 60.0, 120.0, 240.0, 900.0)
QUICK_ATTEMPTS = 5
_HEALTHY_S = 600.0
_IN_THE_WAY_S = 20.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The attempts of one bad spell; a spell ends with ten minutes of an open session, or with a sign-in."""

    attempts: int = 0
    next_at: float = 0.0
    healthy_since: float | None = None

    def is_used_up(self, policy: Policy) -> bool:
        """Whether a person should be told: the quick attempts, or all that the owner grants, are made."""
        most = QUICK_ATTEMPTS if policy.max_attempts is None else min(QUICK_ATTEMPTS, policy.max_attempts)
        return self.attempts >= most

    def is_spent(self, policy: Policy) -> bool:
        """Whether the owner grants no further attempt."""
        return policy.max_attempts is not None and self.attempts >= policy.max_attempts


def refuse(
    verdict: Verdict,
    policy: Policy,
    budget: Budget,
    *,
    now: float,
    earliest: float,
    compete: bool,
    login: str | None,
    is_person: bool = False,
) -> IbError | None:
    """Why the session must not be opened now; None when it may, or when it is open already.

    ``earliest``: when the gap since the last opening ends. ``is_person``: a person asks, who needs no budget.
    """
    state = verdict.state
    if state is SessionState.REOPENING and _is_loading(verdict) and now - verdict.since < LOADING_S:
        return SessionReopening("IBKR is loading the account data of the session.", retry_after_s=3)
    allowed = state is SessionState.REOPENING or (compete and state is SessionState.COMPETING)
    if not allowed:
        return refusal(state, login=login)
    return _refuse_by_policy(policy, budget, is_person) or _refuse_early(budget, now, earliest, is_person)


def _refuse_by_policy(policy: Policy, budget: Budget, is_person: bool) -> IbError | None:
    if policy.paused:
        return OperationForbidden(
            "The owner paused this gateway: nothing is opened.", action="Ask the owner to end the pause."
        )
    if is_person:
        return None
    if policy.forbids_requests:
        return OperationForbidden(
            "The owner does not let a lost brokerage session be opened again.", action="Ask the owner to open it."
        )
    if budget.is_spent(policy):
        return SessionReopening(
            "The attempts that the owner grants for opening the session are used up.",
            action="Ask the owner to sign in again.",
        )
    return None


def _refuse_early(budget: Budget, now: float, earliest: float, is_person: bool) -> IbError | None:
    due = earliest if is_person else max(earliest, budget.next_at)
    if now < due:
        return PacingLimited("It is too early to ask IBKR for the session again.", retry_after_s=due - now)
    return None


def follow(budget: Budget, state: SessionState, now: float) -> Budget:
    """The budget after seeing ``state``."""
    if state is not SessionState.AUTHENTICATED:
        return replace(budget, healthy_since=None)
    since = now if budget.healthy_since is None else budget.healthy_since
    if now - since >= _HEALTHY_S:
        return Budget(healthy_since=since)
    return replace(budget, healthy_since=since)


def is_way_free(before: Verdict, verdict: Verdict, now: float) -> bool:
    """Whether what stood in the way of an opening for a while just went: another program, an outage, IBKR's reset."""
    if verdict.state is not SessionState.REOPENING or not verdict.flags.connected:
        return False
    if now - before.since < _IN_THE_WAY_S:
        return False
    return before.state not in (SessionState.AUTHENTICATED, SessionState.STARTING) and not (
        before.state is SessionState.REOPENING and before.flags.connected
    )


def try_at(budget: Budget, verdict: Verdict, policy: Policy, earliest: float, *, after_s: float) -> float | None:
    """When the keeper tries by itself (loop seconds), or None when it must not.

    ``after_s``: how long a loss is left to others, who ask sooner where there are any.
    """
    if verdict.state is not SessionState.REOPENING or policy.paused or not policy.reopen or budget.is_spent(policy):
        return None
    return max(earliest, budget.next_at, verdict.since + _patience_s(verdict, after_s))


def spend(budget: Budget, now: float) -> Budget:
    """The budget after one more attempt; the pauses grow to a quarter of an hour."""
    pause_s = PAUSES_S[min(budget.attempts, len(PAUSES_S) - 1)]
    return replace(budget, attempts=budget.attempts + 1, next_at=now + pause_s)


def _patience_s(verdict: Verdict, after_s: float) -> float:
    if _is_loading(verdict):
        return LOADING_S
    return after_s if verdict.flags.connected else max(after_s, DISCONNECTED_S)


def _is_loading(verdict: Verdict) -> bool:
    return verdict.flags.authenticated and verdict.flags.established is False
