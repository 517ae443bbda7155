"""What IBKR counts in its slow windows, kept in a file: a restart must not ask again too early and earn the penalty.

The file holds operation ids and epoch seconds, nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from ib_service import strict_json
from ibkr.operation import Pacing

log = structlog.get_logger("ib_keepalive.guard")

# A restart takes longer than faster windows last.
_SLOW_S = 5.0
# A penalty that is said to last longer was not written by this program.
_LONGEST_PENALTY_S = 3600.0


class UsageJournal:
    """The last calls of each slow operation and the end of a penalty; without a path nothing is kept."""

    def __init__(self, path: Path | None, pacing: Mapping[str, Pacing | None], wall: Callable[[], float]) -> None:
        self._path = path
        self._slow = {name: limit for name, limit in pacing.items() if limit is not None and limit.seconds >= _SLOW_S}
        self._wall = wall
        self._calls: dict[str, list[float]] = {}
        self._penalty_until = 0.0
        self._closed: dict[str, float] = {}

    def read(self) -> tuple[dict[str, list[float]], float, dict[str, float]]:
        """Ages in seconds of the calls that still count, by operation, and the seconds left of a penalty.

        Last the seconds left for operations that are refused by themselves.
        """
        if self._path is None or not self._path.exists():
            return {}, 0.0, {}
        now = self._wall()
        try:
            recorded = strict_json.load(self._path.read_bytes())
            self._calls = {
                name: [float(at) for at in recorded["calls"][name]] for name in self._slow if name in recorded["calls"]
            }
            latest = now + _LONGEST_PENALTY_S
            self._penalty_until = min(float(recorded["penalty_until"]), latest)
            self._closed = {str(name): min(float(until), latest) for name, until in recorded.get("closed", {}).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            log.warning("what was recorded of earlier requests cannot be read", file=self._path.name)
            return {}, 0.0, {}
        # A clock that was set back makes a call look younger than it is, never older.
        ages = {name: [max(0.0, now - at) for at in calls] for name, calls in self._calls.items()}
        counted = {name: [age for age in found if age < self._slow[name].seconds] for name, found in ages.items()}
        closed = {name: until - now for name, until in self._closed.items() if until > now}
        return counted, max(0.0, self._penalty_until - now), closed

    def note(self, operation: str) -> None:
        """A call of ``operation`` starts."""
        limit = self._slow.get(operation)
        if limit is not None:
            self._calls[operation] = [*self._calls.get(operation, []), self._wall()][-limit.calls :]
            self._write()

    def note_penalty(self, left: float, operation: str, operation_left: float) -> None:
        """IBKR refuses everything for ``left`` seconds from now, and ``operation`` for ``operation_left``."""
        now = self._wall()
        self._penalty_until = now + left
        self._closed = {name: until for name, until in self._closed.items() if until > now}
        self._closed[operation] = now + operation_left
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        written = {"calls": self._calls, "penalty_until": self._penalty_until, "closed": self._closed}
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(written), "utf-8")
            os.replace(draft, self._path)
        except OSError as error:
            log.warning("requests cannot be recorded", file=self._path.name, reason=error.strerror)
