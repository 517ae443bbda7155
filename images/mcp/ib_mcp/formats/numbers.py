"""Numbers as tools answer them.

Numbers are never calculated with as floats. A JSON number of IBKR is shown as the same number; where a float cannot
hold it, as its digits in text. Arithmetic is done in ``Decimal``.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from ib_service import strict_json
from ibkr.field_values import number

Scalar = int | float | str | bool | None

_LARGEST_EXACT = 2**53
_ZERO = Decimal("0.0")
# Shorter numbers are the same as floats; reading the usual answer without looking at each is several times faster.
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{17}")


def exact(text: str) -> float | str:
    """A JSON number as a float where that is the same number, else its own digits as text."""
    value = float(text)
    return value if len(text) < 16 or Decimal(repr(value)) == Decimal(text) else text


def parse_json(content: bytes) -> Any:
    """JSON with its numbers kept as ``exact`` does; NaN and the like are None. ValueError when it is none."""
    if _LONG_NUMBER.search(content) is None:
        try:
            return from_json(content, allow_inf_nan=False)
        except ValueError:
            pass
    return strict_json.load_cleaned(content, parse_float=exact)


def plain(value: Decimal | None) -> int | float | str | None:
    """``value`` as the same number in JSON, or as its digits where JSON readers would change it."""
    if not value:
        return None if value is None else 0
    if value == value.to_integral_value():
        return int(value) if abs(value) <= _LARGEST_EXACT else format(value, "f")
    near = float(value)
    return near if Decimal(repr(near)) == value else format(value, "f")


def shown(value: Decimal) -> str:
    """``value`` in a sentence: without an exponent and without zeros that say nothing."""
    return format(value.normalize(), "f")


def cents(value: Decimal | None) -> Decimal | None:
    """A sum of ours, rounded to two places."""
    return None if value is None else round(value, 2)


def decimal(value: Any) -> Decimal | None:
    """A number of IBKR (JSON number or text such as ``"1,234.50"``) for arithmetic; None when it is none."""
    kind = type(value)
    # Nearly all figures are one of these, which need not be read as text.
    if kind is float and math.isfinite(value):
        return Decimal(repr(value)) if value else _ZERO
    if kind is int:
        return Decimal(value)
    if value is None or kind is bool:
        return None
    return number(repr(value) if kind is float else str(value))


def figure(value: Any) -> Scalar:
    """A number of IBKR, given as JSON number or text, for an answer; anything else as it came."""
    if isinstance(value, str):
        known = number(value, percent=True)
        return plain(known) if known is not None else value or None
    return value  # type: ignore[no-any-return]
