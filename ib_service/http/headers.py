"""Headers of answers that several parts read."""

from __future__ import annotations

_LONGEST_S = 86_400.0


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After header, a day at most; None for none, a date, or anything that is no number."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 300:
        return None
    return min(float(text), _LONGEST_S)
