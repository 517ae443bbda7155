"""When the owner is told of orders that wait for approval. Pure."""

from __future__ import annotations

from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Policy
from ib_operator.decision.spans import until
from ibkr.session import TradingStatus


def asked_at(observation: Observation, policy: Policy) -> float | None:
    """When the newest of them was asked for; None while there is none, or nobody wants to hear of it."""
    status = observation.status
    if status is None or not status.trading.pending_approvals:
        return None
    if not policy.is_known or policy.paused or until(policy.quiet, observation.wall) is not None:
        return None
    return status.trading.approval_asked_at


def message(trading: TradingStatus) -> str:
    """One sentence, without anything about the orders."""
    number = trading.pending_approvals or 0
    orders = "An order waits" if number == 1 else f"{number} orders wait"
    where = "" if trading.approval_url is None else f": {trading.approval_url}"
    return f"{orders} for your approval{where}"
