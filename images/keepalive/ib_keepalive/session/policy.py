"""The owner's word about opening a lost session, and reading it from ``PUT /policy``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ibkr.errors import InvalidRequest

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Policy:
    """``reopen``: whether a lost session may be opened without a person.

    ``max_attempts`` in one bad spell; None: as many as it takes, farther and farther apart. ``set_at`` (epoch s) is
    None for what the settings say.
    """

    paused: bool = False
    reopen: bool = False
    max_attempts: int | None = None
    set_at: float | None = None

    @property
    def forbids_requests(self) -> bool:
        """Whether requests of programs are refused too: settings only say what the keeper does by itself."""
        return self.set_at is not None and not self.reopen


def parse_policy(body: object, *, at: float) -> Policy:
    """The policy that ``body`` gives; InvalidRequest with the shape when it is none. Unknown fields are ignored."""
    given: dict[str, Any] = body if isinstance(body, dict) else {}
    paused, reopen, most = given.get("paused"), given.get("reopen"), given.get("max_attempts")
    is_count = most is None or (isinstance(most, int) and not isinstance(most, bool) and 0 <= most <= _MOST)
    if not (isinstance(paused, bool) and isinstance(reopen, bool) and is_count):
        raise InvalidRequest(
            "This is no policy.",
            action='Send {"paused": false, "reopen": true, "max_attempts": null}; a number limits the attempts.',
        )
    return Policy(paused=paused, reopen=reopen, max_attempts=most, set_at=at)
