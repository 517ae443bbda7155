"""When an outdated gateway pod may be replaced. Pure."""

from __future__ import annotations

from ib_operator.decision.decide import Decision
from ib_operator.decision.policy import Policy


def may_replace(policy: Policy, decision: Decision) -> bool:
    """Whether the owner lets the pod go now: at once, or when no session would end by it."""
    if policy.paused:
        return False
    match policy.rollout:
        case "Immediate":
            return True
        case "WhenIdle":
            return decision.is_idle
        case "Never":
            return False
