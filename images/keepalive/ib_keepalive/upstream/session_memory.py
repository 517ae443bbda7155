"""What IBKR remembers of us while one session lasts, and noticing that another one began."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ibkr.session import Mode, SessionState, Status

# Two clocks read one after the other, and rounded.
_JITTER_S = 0.25
# Forgetting them costs one more call each.
_MOST_WARM = 10_000


@dataclass(slots=True)
class SessionMemory:
    """``generation`` counts sessions. ``called``: operations that IBKR answered. ``warm``: requests that were warm.

    ``searched``: conids whose contract search was made, which strikes and contract lists need; ``traced``: those whose
    underlying was searched for, which prices of derivatives need.
    """

    generation: int = 0
    called: set[str] = field(default_factory=set)
    warm: set[Hashable] = field(default_factory=set)
    searched: set[str] = field(default_factory=set)
    traced: set[str] = field(default_factory=set)
    _state: SessionState | None = None
    _began: float = 0.0
    _started: float | None = None
    _mode: Mode = "unknown"

    def observe(self, status: Status, *, now: float, wall: float) -> bool:
        """Whether the keeper's status shows another session than before; everything is forgotten then.

        ``now`` is the loop's clock and ``wall`` the calendar's, which may be set meanwhile: what counts is how long ago
        a state began.
        """
        offset = now - wall
        began = status.state_since + offset
        started = None if status.gateway.started_at is None else status.gateway.started_at + offset
        is_same = (
            status.state is self._state
            and abs(began - self._began) < _JITTER_S
            and (started is None) == (self._started is None)
            and abs((started or 0.0) - (self._started or 0.0)) < _JITTER_S
        )
        is_other_user = status.mode != "unknown" and self._mode not in ("unknown", status.mode)
        if status.mode != "unknown":
            self._mode = status.mode
        if is_same and not is_other_user:
            return False
        self._state, self._began, self._started = status.state, began, started
        self.generation += 1
        self.called.clear()
        self.warm.clear()
        self.searched.clear()
        self.traced.clear()
        return True

    def warm_up(self, key: Hashable) -> None:
        """Note that a request is past its cold start."""
        if len(self.warm) >= _MOST_WARM:
            self.warm.clear()
        self.warm.add(key)

    def note_search(self, contracts: Iterable[Any]) -> None:
        """Remember which conids a contract search found."""
        for contract in contracts:
            if isinstance(contract, dict) and contract.get("conid"):
                self.searched.add(str(contract["conid"]))
