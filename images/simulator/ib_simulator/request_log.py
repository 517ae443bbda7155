"""What came in: a bounded record of requests, and counters that are never cut."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

KEPT = 20_000


@dataclass(slots=True)
class Request:
    """One request as it arrived. ``at``: simulated epoch s; ``endpoint``: catalogue id, None outside the catalogue.

    ``status`` is None while it has no answer, and stays so when the connection was broken.
    """

    method: str
    path: str
    user_agent: str
    at: float
    endpoint: str | None = None
    status: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class RequestLog:
    """The last ``KEPT`` requests, and counts by endpoint and status since the last ``clear``."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque(maxlen=KEPT)
        self.statuses: Counter[tuple[str | None, int | None]] = Counter()

    def clear(self) -> None:
        self.requests.clear()
        self.statuses.clear()
