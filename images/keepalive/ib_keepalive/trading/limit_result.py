"""What one limit says of an order, and the sentences for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_keepalive.trading.reckoning import Unknown


@dataclass(frozen=True, slots=True)
class LimitResult:
    """``limit``: its key in the policy file; ``allowed``: its value; ``given``: the order's. ``sentence`` says both."""

    limit: str
    allowed: object
    given: object
    passed: bool
    sentence: str

    def to_json(self) -> dict[str, object]:
        return {
            "limit": self.limit,
            "allowed": self.allowed,
            "given": self.given,
            "passed": self.passed,
            "sentence": self.sentence,
        }


def at_most(limit: str, allowed: float, reckon: Callable[[], Decimal], unit: str = "") -> LimitResult:
    unit = f" {unit}" if unit else ""
    try:
        given = reckon()
    except Unknown as unknown:
        why = f"the policy permits {plain(allowed)}{unit}, and the order's cannot be reckoned: {unknown}"
        return result(limit, allowed, None, False, why)
    why = f"the policy permits {plain(allowed)}{unit}, and the order's is {plain(given)}{unit}"
    return result(limit, allowed, float(given), given <= Decimal(repr(allowed)), why)


def among(limit: str, allowed: Sequence[str], given: str, wrong: object) -> LimitResult:
    return result(limit, list(allowed), given, wrong is None, f"the policy permits {listed(allowed)}, not {given}")


def result(limit: str, allowed: object, given: object, passed: bool, why: str) -> LimitResult:
    return LimitResult(limit, allowed, given, passed, f"{limit}: within the limit." if passed else f"{limit}: {why}.")


def listed(values: Sequence[str]) -> str:
    shown = ", ".join(str(value) for value in values[:10])
    return shown if len(values) <= 10 else f"{shown} and {len(values) - 10} more"


def plain(value: Decimal | float) -> str:
    """With two decimals, or as many as show four digits: parts of a coin are none of its cents."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    decimals = min(10, max(2, 3 - exact.adjusted())) if exact else 2
    return f"{exact:,.{decimals}f}".rstrip("0").rstrip(".")
