"""Objects whose keys are written more than once: nothing of the first is lost to the last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def merged(pairs: Iterable[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    """The object of ``pairs``; of a repeated key objects are put together and else the last counts.

    Its name is added to ``repeated``.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            repeated.append(key)
            before = found[key]
            if isinstance(before, dict) and isinstance(value, dict):
                value = merged([*before.items(), *value.items()], repeated)
        found[key] = value
    return found
