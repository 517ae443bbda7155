"""What the keeper must not forget over a restart, in a file; without a path nothing is kept.

Numbers, times (epoch seconds) and the owner's word: never a user name, an account or a cookie.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger("ib_keepalive.session")


@dataclass(slots=True)
class Entries:
    """``number`` and ``signed_in_at``: the last sign-in. ``attempts``, ``next_at``, ``opened_at``: the budget.

    ``rung``: the way of opening that worked last. ``no_rights``: openings in a row refused for lack of rights.
    ``gateway_since``: since when the gateway program is known to run. ``policy``: the body of the last ``PUT /policy``
    and ``policy_at`` when it came.
    """

    number: int = 0
    signed_in_at: float | None = None
    attempts: int = 0
    next_at: float | None = None
    opened_at: float | None = None
    rung: str | None = None
    no_rights: int = 0
    gateway_since: float | None = None
    policy: dict[str, Any] | None = None
    policy_at: float | None = None


_KINDS: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "signed_in_at": (int, float),
    "attempts": (int,),
    "next_at": (int, float),
    "opened_at": (int, float),
    "rung": (str,),
    "no_rights": (int,),
    "gateway_since": (int, float),
    "policy": (dict,),
    "policy_at": (int, float),
}
_LARGEST = 64 * 1024


class SessionJournal:
    """``entries`` may be changed by whoever holds the journal, who calls ``write`` afterwards."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.entries = Entries()
        if path is not None and path.exists():
            self.entries = _read(path)

    def write(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(asdict(self.entries)), "utf-8")
            os.replace(draft, self._path)
        except OSError as error:
            log.warning("the session cannot be recorded", file=self._path.name, reason=error.strerror)


def _read(path: Path) -> Entries:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        kept = json.loads(path.read_text("utf-8"))
        given = {f.name: kept[f.name] for f in fields(Entries) if kept.get(f.name) is not None}
        wrong = [name for name, value in given.items() if not isinstance(value, _KINDS[name]) or value is True]
        if wrong:
            raise ValueError(f"{wrong[0]} is of another kind")
        return Entries(**given)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        log.warning("what was recorded of the session cannot be read", file=path.name)
        return Entries()
