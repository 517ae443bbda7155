"""How often the brokerage session may be opened again: pure arithmetic on loop seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

BACK_OFF_S = (30.0, 60.0, 120.0, 240.0, 480.0)
LONGEST_WAIT_S = 600.0
JITTER = 0.2
# An episode of attempts ends, and the next one may begin, with so much of an open session.
HEALTHY_S = 600.0
# Between two attempts during maintenance, and between two that take the session from another program.
GENTLE_S = 600.0
# What the last attempt gets to show an effect.
LAST_WAIT_S = 60.0


class Attempt(StrEnum):
    """Why the session is opened. REQUESTED comes on top of the budget, GENTLE takes nothing from it."""

    LOST = "lost"
    COMPETE = "compete"
    GENTLE = "gentle"
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class Budget:
    """``next_at``: the earliest moment of the next attempt; None until a loss was seen.

    ``gentle_at``, ``compete_at``: the same for the two kinds that keep ten minutes' distance. ``is_hurried``: the first
    attempt was brought forward.
    """

    attempts: int = 0
    next_at: float | None = None
    gentle_at: float | None = None
    compete_at: float | None = None
    is_hurried: bool = False


def wait_s(attempts: int, jitter: float) -> float:
    """Seconds before the next attempt when ``attempts`` were made; ``jitter`` is -1 to 1."""
    base = BACK_OFF_S[attempts] if attempts < len(BACK_OFF_S) else LONGEST_WAIT_S
    return min(LONGEST_WAIT_S, base * (1 + JITTER * jitter))


def begin(budget: Budget, now: float, jitter: float) -> Budget:
    """The budget after the session was seen lost; the first wait lets the gateway help itself."""
    if budget.next_at is not None:
        return budget
    return replace(budget, next_at=now + wait_s(budget.attempts, jitter))


def hurry(budget: Budget, now: float) -> Budget:
    """The budget with the first attempt due now, once."""
    return budget if budget.attempts or budget.is_hurried else replace(budget, next_at=now, is_hurried=True)


def recover(budget: Budget, now: float, good_since: float) -> Budget:
    """The budget while the session is open since ``good_since``."""
    if now - good_since >= HEALTHY_S:
        return Budget(gentle_at=budget.gentle_at, compete_at=budget.compete_at)
    # The next loss waits anew, as long as its place in the episode says.
    return replace(budget, next_at=None, is_hurried=False)


def is_exhausted(budget: Budget, most: int, now: float) -> bool:
    """Whether all attempts are made and the last one had its time."""
    return budget.attempts >= most and (budget.next_at is None or now >= budget.next_at)


def spend(budget: Budget, attempt: Attempt, most: int, now: float, jitter: float) -> Budget:
    """The budget after an attempt was sent, or may have been."""
    match attempt:
        case Attempt.GENTLE:
            return replace(budget, gentle_at=now + GENTLE_S * (1 + JITTER * abs(jitter)))
        case Attempt.REQUESTED:
            return replace(budget, next_at=_later(budget.next_at, now + BACK_OFF_S[0]))
        case Attempt.LOST | Attempt.COMPETE:
            attempts = budget.attempts + 1
            wait = LAST_WAIT_S if attempts >= most else wait_s(attempts, jitter)
            compete_at = now + GENTLE_S if attempt is Attempt.COMPETE else budget.compete_at
            return replace(budget, attempts=attempts, next_at=now + wait, compete_at=compete_at)


def postpone(before: Budget, now: float, delay_s: float) -> Budget:
    """The budget ``before`` an attempt that the keepalive refused without asking IBKR."""
    later = now + max(5.0, delay_s)
    return replace(
        before,
        next_at=None if before.next_at is None else max(before.next_at, later),
        gentle_at=_later(before.gentle_at, later),
        compete_at=_later(before.compete_at, later),
    )


def _later(one: float | None, other: float) -> float:
    return other if one is None else max(one, other)
