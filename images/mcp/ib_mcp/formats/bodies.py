"""Parts of IBKR's answers as they should be, where something else may stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# IBKR's have ten digits at most.
_LONGEST_CONID = 12


def listed_in(value: object) -> list[Any]:
    """A list; an empty one where there is none."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none where there is no list."""
    return [row for row in listed_in(value) if isinstance(row, dict)]


def conid_of(row: Mapping[str, Any]) -> int | None:
    """The conid of a row, which may be a number or its digits; None for anything else."""
    value = row.get("conid")
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_CONID else None
