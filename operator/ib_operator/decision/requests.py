"""Requests by annotation: one more attempt, on the word of a person. Pure."""

from __future__ import annotations

from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Policy
from ib_operator.decision.states import Reason

# How long one request stands.
LASTS_S = 600.0

_IN_VAIN: dict[Reason, str] = {
    Reason.SESSION_OPEN: "the brokerage session is open already",
    Reason.PORTFOLIO_ONLY: "the brokerage session is left to other programs",
    Reason.LOGIN_REQUIRED: "nobody is signed in: sign in first",
    Reason.SESSION_COMPETING: "another program uses this username: log out there first",
}


def is_due(observation: Observation, handled: float | None) -> bool:
    """Whether a request stands that was neither served nor refused; ``handled`` is the last one that was."""
    asked = observation.requested_at
    return asked is not None and asked != handled and asked <= observation.wall < asked + LASTS_S


def refuse(observation: Observation, policy: Policy, confirmed: Reason, handled: float | None) -> str | None:
    """Why the present request will not be served, or None: there is none, or it may still be."""
    asked = observation.requested_at
    if asked is None or asked == handled or asked > observation.wall or not policy.is_known:
        return None
    if policy.paused:
        return "spec.paused is true"
    if confirmed in _IN_VAIN:
        return _IN_VAIN[confirmed]
    if observation.wall >= asked + LASTS_S:
        return "it could not be served within ten minutes"
    return None
