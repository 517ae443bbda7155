"""When the brokerage session may be opened again: the rules for asking, and the keeper's own small budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_keepalive.session.states import Verdict
from ibkr.errors import IbError, PacingLimited, SessionReopening
from ibkr.session import SessionState, refusal

# Between two ssodh/init, whoever asks; IBKR's gateway runs its own chain for as long after a sign-in.
GAP_S = 25.0
LOADING_S = 60.0
_DISCONNECTED_S = 30.0
_CONFIRMED_S = 3.0
_MOST_TRIES = 5
_FIRST_PAUSE_S = 30.0
_HEALTHY_S = 600.0


def refuse(verdict: Verdict, *, now: float, earliest: float, compete: bool, login: str | None) -> IbError | None:
    """Why ssodh/init must not be sent now; None when it may, or when the session is open already.

    ``earliest``: when the gap since the last one ends.
    """
    state = verdict.state
    if state is SessionState.REOPENING and _is_loading(verdict) and now - verdict.since < LOADING_S:
        return SessionReopening("IBKR is loading the account data of the session.", retry_after_s=3)
    allowed = state is SessionState.REOPENING or (compete and state is SessionState.COMPETING)
    if not allowed:
        return refusal(state, login=login)
    if now < earliest:
        return PacingLimited("It is too early to ask IBKR for the session again.", retry_after_s=earliest - now)
    return None


@dataclass(frozen=True, slots=True)
class Budget:
    """The keeper's own tries in one bad spell; a spell ends with ten minutes of an open session."""

    tries: int = 0
    next_at: float = 0.0
    healthy_since: float | None = None


def follow(budget: Budget, state: SessionState, now: float) -> Budget:
    """The budget after seeing ``state``."""
    if state is not SessionState.AUTHENTICATED:
        return replace(budget, healthy_since=None)
    since = now if budget.healthy_since is None else budget.healthy_since
    if now - since >= _HEALTHY_S:
        return Budget(healthy_since=since)
    return replace(budget, healthy_since=since)


def try_at(budget: Budget, verdict: Verdict, earliest: float) -> float | None:
    """When the keeper may try by itself (loop seconds), or None when it must not."""
    if verdict.state is not SessionState.REOPENING or budget.tries >= _MOST_TRIES:
        return None
    return max(earliest, budget.next_at, verdict.since + _patience_s(verdict))


def spend(budget: Budget, now: float) -> Budget:
    """The budget after one try; each pause is twice the one before."""
    return replace(budget, tries=budget.tries + 1, next_at=now + _FIRST_PAUSE_S * 2**budget.tries)


def _patience_s(verdict: Verdict) -> float:
    if _is_loading(verdict):
        return LOADING_S
    return _CONFIRMED_S if verdict.flags.connected else _DISCONNECTED_S


def _is_loading(verdict: Verdict) -> bool:
    return verdict.flags.authenticated and verdict.flags.established is False
