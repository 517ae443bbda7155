"""Times and dates as tools answer them: ISO 8601, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from ib_mcp.formats.numbers import decimal


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC, to the second."""
    # Half the time of strftime.
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:19] + "Z"


def iso_ms(milliseconds: Any) -> str | None:
    """Epoch milliseconds, number or text, as ISO 8601; None when it is no time."""
    # Bars come by the hundred with plain integers.
    value = milliseconds if type(milliseconds) is int else decimal(milliseconds)
    return iso(float(value / 1000)) if value is not None and 0 < value < 10**14 else None


def iso_compact(text: Any) -> str | None:
    """IBKR's ``YYYYMMDD-HH:mm:ss`` and ``YYMMDDHHmmss``, both in UTC, as ISO 8601; anything else as it came."""
    words = str(text or "")
    for form in ("%Y%m%d-%H:%M:%S", "%y%m%d%H%M%S"):
        try:
            return iso(datetime.strptime(words, form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return words or None


def iso_date(text: Any) -> str | None:
    """``YYYYMMDD`` or ``YYYYMM`` (number or text) with dashes; anything else as it came."""
    digits = str(text) if text is not None else ""
    if re.fullmatch(r"\d{6}|\d{8}", digits):
        return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)
    return digits or None
