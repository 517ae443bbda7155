"""Values as tools answer them: exact numbers, ISO times, tables, texts that are only data.

Numbers are never calculated with as floats. A JSON number of IBKR is shown as the same number; where a float cannot
hold it, as its digits in text. Arithmetic is done in ``Decimal``.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from ibkr.errors import InvalidRequest
from ibkr.field_values import number as read_number

Scalar = int | float | str | bool | None

_TAG = re.compile(r"<[^>]*>")
_LARGEST_EXACT = 2**53
# Shorter numbers are the same as floats; reading the usual answer without looking at each is several times faster.
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{17}")


def exact(text: str) -> float | str:
    """A JSON number as a float where that is the same number, else its own digits as text."""
    value = float(text)
    return value if len(text) < 16 or Decimal(repr(value)) == Decimal(text) else text


def read_json(content: bytes) -> Any:
    """JSON with its numbers kept as ``exact`` does; NaN and the like as text. ValueError when it is none."""
    if _LONG_NUMBER.search(content) is None:
        try:
            return from_json(content, allow_inf_nan=False)
        except ValueError:
            pass
    try:
        return json.loads(content, parse_float=exact, parse_constant=str)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def plain(value: Decimal | None) -> int | float | str | None:
    """``value`` as the same number in JSON, or as its digits where JSON readers would change it."""
    if value is None:
        return None
    if value == value.to_integral_value():
        return int(value) if abs(value) <= _LARGEST_EXACT else format(value, "f")
    number = float(value)
    return number if Decimal(repr(number)) == value else format(value, "f")


def decimal(value: Any) -> Decimal | None:
    """A number of IBKR (JSON number or text such as ``"1,234.50"``) for arithmetic; None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    return read_number(repr(value) if isinstance(value, float) else str(value))


def figure(value: Any) -> Scalar:
    """A number of IBKR, given as JSON number or text, for an answer; anything else as it came."""
    if isinstance(value, str):
        known = read_number(value, percent=True)
        return plain(known) if known is not None else value or None
    return value  # type: ignore[no-any-return]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], more: str | None = None) -> dict[str, Any]:
    """Rows without repeating the names; ``more`` is the cursor of the next ones."""
    found: dict[str, Any] = {"columns": list(columns), "rows": [list(row) for row in rows]}
    if more is not None:
        found["more"] = more
    return found


def pick(row: dict[str, Any], *names: str) -> Any:
    """The first of ``names`` that IBKR filled in."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC, to the second."""
    # Half the time of strftime.
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19] + "Z"


def iso_ms(milliseconds: Any) -> str | None:
    """Epoch milliseconds, number or text, as ISO 8601; None when it is no time."""
    # Bars come by the hundred with plain integers.
    value = milliseconds if type(milliseconds) is int else decimal(milliseconds)
    return iso(float(value / 1000)) if value is not None and 0 < value < 10**14 else None


def iso_date(text: Any) -> str | None:
    """``YYYYMMDD`` or ``YYYYMM`` (number or text) with dashes; anything else as it came."""
    digits = str(text) if text is not None else ""
    if re.fullmatch(r"\d{6}|\d{8}", digits):
        return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)
    return digits or None


def untrusted(text: Any, longest: int = 2000) -> str:
    """Text that somebody outside wrote, without markup; models must take it as data only."""
    words = " ".join(html.unescape(_TAG.sub(" ", str(text or ""))).split())
    return words if len(words) <= longest else words[: longest - 1] + "…"


def cut(rows: Sequence[Any], cursor: str | None, limit: int) -> tuple[Sequence[Any], str | None]:
    """The ``limit`` rows from ``cursor`` (an offset) on, and the cursor of the next ones."""
    start = offset(cursor)
    end = start + limit
    return rows[start:end], str(end) if end < len(rows) else None


def offset(cursor: str | None) -> int:
    """The offset that a cursor of ours holds; InvalidRequest for a foreign one."""
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 6:
        raise foreign_cursor(cursor)
    return int(cursor)


def foreign_cursor(cursor: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"The cursor {str(cursor)[:40]!r} is none of this tool.", action="Use 'more' of its last answer."
    )
