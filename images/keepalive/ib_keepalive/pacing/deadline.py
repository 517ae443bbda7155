"""How long a caller waits, from its own word or by default."""

from __future__ import annotations

from dataclasses import dataclass

from ibkr.errors import InvalidRequest

DEFAULT_TURN_S = 8.0
_LONGEST_S = 120.0
# A caller that names its deadline needs this part of it for the answer itself.
_ANSWER_PART = 0.2
_ANSWER_MOST_S = 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Seconds of the loop's clock: the latest start upstream, and when the caller gives up."""

    turn_by: float
    answer_by: float


def read_deadline(header: bytes | None, now: float, usual_s: float, turn_s: float = DEFAULT_TURN_S) -> Deadline:
    """From ``ib-deadline-ms``; without it a turn within ``turn_s`` and ``usual_s`` for the answer."""
    if header is None:
        return Deadline(now + turn_s, now + turn_s + usual_s)
    if not header.isdigit() or len(header) > 9:
        raise InvalidRequest("The header ib-deadline-ms is not a number of milliseconds.")
    whole = min(int(header) / 1000, _LONGEST_S)
    return Deadline(now + whole - min(_ANSWER_MOST_S, whole * _ANSWER_PART), now + whole)
