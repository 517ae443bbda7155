"""From one poll of a gateway to everything the operator does about it. Pure: no clock, no I/O, no randomness."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ib_operator.decision import budget as budgets
from ib_operator.decision import reminders
from ib_operator.decision.budget import Attempt, Budget
from ib_operator.decision.observation import FRESH_S, Observation, maintenance_until, reason_of
from ib_operator.decision.policy import Policy
from ib_operator.decision.reminders import Due, Notified
from ib_operator.decision.spans import until
from ib_operator.decision.states import ROWS, Phase, Reason, Truth
from ibkr.session import SessionState

# How long one request by annotation stands.
REQUEST_LASTS_S = 600.0
SOON_S = 5.0
# A person who has to do something is probably at it.
ATTENTION_S = 600.0
_AFTER_ATTEMPT_S = 60.0
# After a sign-in the gateway opens the session by itself, within seconds.
_OPENING_S = 30.0


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of a gateway between two polls. Times are loop seconds unless they say epoch.

    ``confirmed`` is what polls agree on, ``reported`` what is shown (they differ while paused); ``unconfirmed`` is what
    the last poll said against an open session. ``good_at`` and ``good_since``: last poll of an open session, and the
    first of its row. ``handled``: the last request by annotation that was served (epoch).
    """

    confirmed: Reason = Reason.GATEWAY_STARTING
    confirmed_since: float | None = None
    reported: Reason | None = None
    reported_since: float | None = None
    unconfirmed: Phase | None = None
    good_at: float | None = None
    good_since: float | None = None
    budget: Budget = field(default_factory=Budget)
    attempted_at: float | None = None
    handled: float | None = None
    notified: tuple[Notified, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """``history`` is what to remember; ``attempt`` whether to open the session now, and why.

    ``authenticated`` is the condition's value, and True exactly when the readiness gate is. ``is_transition``: an
    Event is due. ``next_poll_s``: seconds, without jitter. ``is_idle``: no session is live that a restart would end.
    """

    history: History
    reason: Reason
    phase: Phase
    reachable: Truth
    authenticated: Truth
    competing: Truth
    attempt: Attempt | None
    is_transition: bool
    notification: Due | None
    next_poll_s: float
    maintenance_until: float | None
    is_idle: bool

    @property
    def gate(self) -> Truth:
        return "True" if self.authenticated == "True" else "False"


def decide(observation: Observation, policy: Policy, history: History, now: float, *, poll_s: float = 15) -> Decision:
    """What one poll means for everybody. ``now``: the loop second of the poll."""
    history = _see(observation, policy, history, now)
    in_maintenance, ends = maintenance_until(observation, policy)
    attempt = None if history.unconfirmed is not None else _attempt(observation, policy, history, now, in_maintenance)
    reported = Reason.PAUSED_BY_OWNER if policy.paused else history.confirmed
    is_transition = reported is not history.reported
    history = replace(history, reported=reported, reported_since=now if is_transition else history.reported_since)
    notified, notification = reminders.due(
        history.notified,
        history.confirmed,
        lasted_s=now - (now if history.confirmed_since is None else history.confirmed_since),
        wall=observation.wall,
        is_hushed=policy.paused
        or not policy.channels
        or in_maintenance
        or until(policy.quiet, observation.wall) is not None,
    )
    row = ROWS[history.confirmed]
    window = until(policy.windows, observation.wall)
    return Decision(
        history=replace(history, notified=notified),
        reason=reported,
        phase=ROWS[reported].phase,
        reachable=row.reachable,
        authenticated=row.authenticated,
        competing=row.competing,
        attempt=attempt,
        is_transition=is_transition,
        notification=notification,
        next_poll_s=_next_poll_s(history, now, poll_s),
        maintenance_until=ends,
        is_idle=history.confirmed is Reason.LOGIN_REQUIRED or observation.pod == "pending" or window is not None,
    )


def attempted(history: History, attempt: Attempt, policy: Policy, observation: Observation, now: float) -> History:
    """The history as soon as an attempt is about to be sent: an answer that gets lost must count too."""
    return replace(
        history,
        budget=budgets.spend(history.budget, attempt, policy.max_attempts, now, observation.jitter),
        attempted_at=now,
        handled=observation.requested_at if attempt is Attempt.REQUESTED else history.handled,
    )


def refused(after: History, before: History, now: float, delay_s: float) -> History:
    """The history when the keepalive says that it did not ask IBKR, for so many seconds to come."""
    return replace(
        after,
        budget=budgets.postpone(before.budget, now, delay_s),
        attempted_at=before.attempted_at,
        handled=before.handled,
    )


def _see(observation: Observation, policy: Policy, history: History, now: float) -> History:
    """``history`` with this poll in it: it takes one to find a session open, two that agree to find it closed."""
    reason = reason_of(observation, policy)
    phase = ROWS[reason].phase
    if ROWS[reason].authenticated == "True":
        since = now if history.good_since is None else history.good_since
        known = replace(history, good_at=now, good_since=since, unconfirmed=None)
        return _note(replace(known, budget=budgets.recover(history.budget, now, since)), reason, now)
    if ROWS[history.confirmed].authenticated == "True" and history.unconfirmed is not phase and _is_fresh(history, now):
        return replace(history, unconfirmed=phase)
    history = replace(history, good_since=None, unconfirmed=None)
    if reason in (Reason.SESSION_LOST, Reason.SESSION_COMPETING) and history.budget.attempts < policy.max_attempts:
        history = replace(history, budget=budgets.begin(history.budget, now, observation.jitter))
    if reason is Reason.SESSION_LOST and policy.is_known and _ends_soon(observation):
        history = replace(history, budget=budgets.hurry(history.budget, now))
    if reason is Reason.SESSION_LOST:
        reason = _lost_reason(policy, history.budget, now)
    return _note(history, reason, now)


def _ends_soon(observation: Observation) -> bool:
    """Whether IBKR's program will end the sign-in: it logs out when its tickle, every 30 s, finds this."""
    auth = observation.status.auth if observation.status is not None else None
    return auth is not None and auth.connected and not auth.authenticated


def _note(history: History, reason: Reason, now: float) -> History:
    if reason is history.confirmed and history.confirmed_since is not None:
        return history
    return replace(history, confirmed=reason, confirmed_since=now)


def _is_fresh(history: History, now: float) -> bool:
    return history.good_at is not None and now - history.good_at <= FRESH_S


def _lost_reason(policy: Policy, budget: Budget, now: float) -> Reason:
    if not policy.reauth_enabled:
        return Reason.REAUTH_DISABLED
    if budgets.is_exhausted(budget, policy.max_attempts, now):
        return Reason.REAUTH_EXHAUSTED
    return Reason.SESSION_LOST


def _attempt(
    observation: Observation, policy: Policy, history: History, now: float, in_maintenance: bool
) -> Attempt | None:
    """Whether the session may and should be opened now. Only a signed-in user's closed session ever is."""
    status = observation.status
    if policy.paused or status is None or status.age_seconds > FRESH_S:
        return None
    allowed_at = status.reauth.next_allowed_at
    if allowed_at is not None and allowed_at > observation.wall:
        return None
    budget = history.budget
    if status.state is SessionState.COMPETING:
        may = policy.compete and policy.reauth_enabled and budget.attempts < policy.max_attempts
        return Attempt.COMPETE if may and _is_due(budget.next_at, now) and _is_due(budget.compete_at, now) else None
    if status.state is not SessionState.REOPENING:
        return None
    if _is_requested(observation, history):
        return Attempt.REQUESTED
    if not policy.reauth_enabled:
        return None
    if in_maintenance:
        return Attempt.GENTLE if _is_due(budget.gentle_at, now) else None
    if budget.attempts >= policy.max_attempts or budget.next_at is None or now < budget.next_at:
        return None
    return Attempt.LOST


def _is_due(at: float | None, now: float) -> bool:
    return at is None or now >= at


def _is_requested(observation: Observation, history: History) -> bool:
    asked = observation.requested_at
    return asked is not None and asked != history.handled and asked <= observation.wall < asked + REQUEST_LASTS_S


def _next_poll_s(history: History, now: float, poll_s: float) -> float:
    """Seconds; sooner where something is about to change."""
    soon = min(SOON_S, poll_s)
    lasted = now - (now if history.confirmed_since is None else history.confirmed_since)
    if history.unconfirmed is not None:
        return soon
    tried_lately = history.attempted_at is not None and now - history.attempted_at < _AFTER_ATTEMPT_S
    if tried_lately and ROWS[history.confirmed].authenticated != "True":
        return soon
    if history.confirmed in _ATTENDED and lasted < ATTENTION_S:
        return soon
    if history.confirmed is Reason.SESSION_LOST and lasted < _OPENING_S:
        return soon
    if history.confirmed is Reason.SESSION_LOST and history.budget.next_at is not None:
        return min(poll_s, max(soon, history.budget.next_at - now))
    return poll_s


_ATTENDED = (Reason.LOGIN_REQUIRED, Reason.REAUTH_EXHAUSTED, Reason.REAUTH_DISABLED, Reason.GATEWAY_STARTING)
