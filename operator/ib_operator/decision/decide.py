"""From one poll of a gateway to everything the operator does about it. Pure: no clock, no I/O, no randomness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ib_operator.decision import reminders, requests
from ib_operator.decision.observation import FRESH_S, Observation, maintenance_until, reason_of
from ib_operator.decision.policy import Policy
from ib_operator.decision.reminders import Due, Notified
from ib_operator.decision.spans import until
from ib_operator.decision.states import ROWS, Phase, Reason, Truth
from ibkr.session import SessionState, Status

SOON_S = 5.0
# A person who has to do something is probably at it.
ATTENTION_S = 600.0
_AFTER_ATTEMPT_S = 60.0
# Between two attempts in a window of the owner's, and between two that take the session from another program.
_GENTLE_S = 600.0
# Whatever the keeper says, and also where it says nothing.
_GAP_S = 25.0
# What the last attempt gets to show an effect.
_LAST_WAIT_S = 60.0


class Attempt(StrEnum):
    """Why the session is opened. The keeper counts and spaces the first two; a person's REQUESTED needs no budget."""

    LOST = "lost"
    COMPETE = "compete"
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of a gateway between two polls. Times are loop seconds unless they say epoch.

    ``confirmed`` is what polls agree on, ``reported`` what is shown (they differ while paused); ``unconfirmed`` is what
    the last poll said against an open session. ``good_at``: last poll of an open session. ``not_before``: the keepalive
    refuses attempts until then. ``handled``: the last request by annotation that was served or refused (epoch).
    """

    confirmed: Reason = Reason.GATEWAY_STARTING
    confirmed_since: float | None = None
    reported: Reason | None = None
    reported_since: float | None = None
    unconfirmed: Phase | None = None
    good_at: float | None = None
    attempted_at: float | None = None
    not_before: float | None = None
    handled: float | None = None
    notified: tuple[Notified, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """``history`` is what to remember; ``attempt`` whether to open the session now, and why.

    ``authenticated`` is the condition's value, and True exactly when the readiness gate is. ``is_transition``: an
    Event is due. ``refusal``: why a request by annotation is not served, None where there is none to refuse.
    ``next_poll_s``: seconds, without jitter. ``is_idle``: no session is live that a restart would end; ``is_aged``:
    the gateway program is so old that it should be restarted when nobody is signed in.
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
    refusal: str | None
    next_poll_s: float
    maintenance_until: float | None
    is_idle: bool
    is_aged: bool

    @property
    def gate(self) -> Truth:
        return "True" if self.authenticated == "True" else "False"


def decide(observation: Observation, policy: Policy, history: History, now: float, *, poll_s: float = 15) -> Decision:
    """What one poll means for everybody. ``now``: the loop second of the poll."""
    history = _confirm(observation, policy, history, now)
    in_maintenance, ends = maintenance_until(observation, policy)
    attempt = None if history.unconfirmed is not None else _attempt(observation, policy, history, now)
    refusal = requests.refuse(observation, policy, history.confirmed, history.handled)
    if refusal is not None:
        history = replace(history, handled=observation.requested_at)
    reported = Reason.PAUSED_BY_OWNER if policy.paused else history.confirmed
    is_transition = reported is not history.reported
    history = replace(history, reported=reported, reported_since=now if is_transition else history.reported_since)
    notified, notification = reminders.due(
        history.notified,
        history.confirmed,
        channels=tuple(channel.name for channel in policy.channels),
        lasted_s=now - (now if history.confirmed_since is None else history.confirmed_since),
        wall=observation.wall,
        is_hushed=not policy.is_known
        or policy.paused
        or in_maintenance
        or until(policy.quiet, observation.wall) is not None,
    )
    row = ROWS[history.confirmed]
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
        refusal=refusal,
        next_poll_s=_next_poll_s(history, now, poll_s),
        maintenance_until=ends,
        is_idle=history.confirmed is Reason.LOGIN_REQUIRED
        or observation.pod == "pending"
        or until(policy.windows, observation.wall) is not None,
        is_aged=_is_aged(observation, history),
    )


def attempted(history: History, attempt: Attempt, observation: Observation, now: float) -> History:
    """The history as soon as an attempt is about to be sent: an answer that gets lost must count too."""
    handled = observation.requested_at if attempt is Attempt.REQUESTED else history.handled
    return replace(history, attempted_at=now, handled=handled)


def refused(after: History, before: History, now: float, delay_s: float) -> History:
    """The history when the keepalive says that it did not ask IBKR, for so many seconds to come."""
    return replace(
        after,
        not_before=now + max(SOON_S, delay_s),
        attempted_at=before.attempted_at,
        handled=before.handled,
    )


def may_still(attempt: Attempt, policy: Policy) -> bool:
    """Whether the owner's word, which may have changed since the decision, still allows the attempt."""
    if not policy.is_known or policy.paused:
        return False
    match attempt:
        case Attempt.REQUESTED:
            return True
        case Attempt.LOST:
            return policy.reauth_enabled
        case Attempt.COMPETE:
            return policy.reauth_enabled and policy.compete


def _confirm(observation: Observation, policy: Policy, history: History, now: float) -> History:
    """``history`` with this poll in it: it takes one to find a session open, two that agree to find it closed."""
    reason = reason_of(observation, policy)
    phase = ROWS[reason].phase
    if ROWS[reason].authenticated == "True":
        return _note(replace(history, good_at=now, unconfirmed=None, not_before=None), reason, now)
    if ROWS[history.confirmed].authenticated == "True" and history.unconfirmed is not phase and _is_fresh(history, now):
        return replace(history, unconfirmed=phase)
    history = replace(history, unconfirmed=None)
    if reason is Reason.SESSION_LOST and observation.status is not None:
        reason = _lost_reason(policy, observation.status, observation.wall)
    return _note(history, reason, now)


def _note(history: History, reason: Reason, now: float) -> History:
    if reason is history.confirmed and history.confirmed_since is not None:
        return history
    return replace(history, confirmed=reason, confirmed_since=now)


def _is_fresh(history: History, now: float) -> bool:
    return history.good_at is not None and now - history.good_at <= FRESH_S


def _lost_reason(policy: Policy, status: Status, wall: float) -> Reason:
    if not policy.reauth_enabled:
        return Reason.REAUTH_DISABLED
    last = status.reauth.last_at
    had_its_time = last is None or wall - last >= _LAST_WAIT_S
    if had_its_time and (status.reauth.is_used_up or _is_spent(policy, status)):
        return Reason.REAUTH_EXHAUSTED
    return Reason.SESSION_LOST


def _is_spent(policy: Policy, status: Status) -> bool:
    return policy.max_attempts is not None and status.reauth.attempts >= policy.max_attempts


def _attempt(observation: Observation, policy: Policy, history: History, now: float) -> Attempt | None:
    """Whether the session may and should be opened now. Only a signed-in user's closed session ever is."""
    status = observation.status
    if not policy.is_known or policy.paused or status is None or status.age_seconds > FRESH_S:
        return None
    if history.not_before is not None and now < history.not_before:
        return None
    allowed_at = status.reauth.next_allowed_at
    if allowed_at is not None and allowed_at > observation.wall:
        return None
    rested_s = float("inf") if history.attempted_at is None else now - history.attempted_at
    if status.state is SessionState.COMPETING:
        may = policy.compete and policy.reauth_enabled and not _is_spent(policy, status)
        return Attempt.COMPETE if may and rested_s >= _GENTLE_S else None
    if status.state is not SessionState.REOPENING:
        return None
    if requests.is_due(observation, history.handled):
        return Attempt.REQUESTED
    if not policy.reauth_enabled or _is_spent(policy, status) or rested_s < _GAP_S:
        return None
    if until(policy.windows, observation.wall) is not None and rested_s < _GENTLE_S:
        return None
    return Attempt.LOST


def _is_aged(observation: Observation, history: History) -> bool:
    by = observation.status.gateway.replace_by if observation.status is not None else None
    return by is not None and observation.wall >= by and history.confirmed is Reason.LOGIN_REQUIRED


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
    if history.confirmed is Reason.SESSION_LOST and lasted < _AFTER_ATTEMPT_S:
        return soon
    return poll_s


_ATTENDED = (Reason.LOGIN_REQUIRED, Reason.REAUTH_EXHAUSTED, Reason.REAUTH_DISABLED, Reason.GATEWAY_STARTING)
