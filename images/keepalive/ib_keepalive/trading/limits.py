"""What the owner's policy says about an order: one result for each limit, refused or not, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ib_keepalive.trading.facts import Facts, Usage
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.policy import Policy


@dataclass(frozen=True, slots=True)
class LimitResult:
    """``limit``: its key in the policy file; ``allowed``: its value; ``given``: the order's. ``sentence`` says both."""

    limit: str
    allowed: object
    given: object
    passed: bool
    sentence: str


def check(policy: Policy, intent: OrderIntent, facts: Facts, usage: Usage) -> list[LimitResult]:
    """Every limit that is set, and what it says of the order; the order may go only if all have ``passed``."""
    raise NotImplementedError


def notional(intent: OrderIntent, facts: Facts) -> float | None:
    """What the order adds to the day's sum, in the base currency; None when it cannot be reckoned."""
    raise NotImplementedError
