"""Daily and weekly spans of time in a time zone: maintenance windows and quiet hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to ``end`` by the clocks of ``zone``, past midnight when ``end`` is not later.

    ``days``: weekdays (0 is Monday) on which it starts.
    """

    start: time
    end: time
    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))

    def ends_after(self, wall: float) -> float | None:
        """Epoch second at which the span around ``wall`` ends, or None outside of it."""
        local = datetime.fromtimestamp(wall, self.zone)
        # A span that contains this moment began today or yesterday.
        for day in (local.date(), local.date() - timedelta(days=1)):
            if day.weekday() not in self.days:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            begins = datetime.combine(day, self.start, self.zone).timestamp()
            ends = datetime.combine(last, self.end, self.zone).timestamp()
            if begins <= wall < ends:
                return ends
        return None


def until(spans: tuple[Span, ...], wall: float) -> float | None:
    """When the last of the spans around ``wall`` ends, or None outside of all."""
    ends = [end for span in spans if (end := span.ends_after(wall)) is not None]
    return max(ends, default=None)


def utc(epoch: float) -> str:
    """RFC 3339 in whole seconds, as Kubernetes writes times."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: object) -> float | None:
    """The epoch second of an RFC 3339 time with a zone, or None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
