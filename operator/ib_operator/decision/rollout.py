"""When a gateway pod may be replaced. Pure."""

from __future__ import annotations

from ib_operator.decision.decide import Decision
from ib_operator.decision.policy import Policy


def may_replace(policy: Policy, decision: Decision) -> bool:
    """Whether the owner lets an outdated pod go now: at once, or when no session would end by it."""
    if policy.paused:
        return False
    match policy.rollout:
        case "Immediate":
            return True
        case "WhenIdle":
            return decision.is_idle
        case "Never":
            return False


def must_replace(policy: Policy, decision: Decision) -> bool:
    """Whether the pod goes for its age, which costs nothing while nobody is signed in."""
    return policy.is_known and not policy.paused and decision.is_aged
