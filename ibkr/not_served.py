"""Published operations that IBKR's gateway does not serve (data in ``not_served.toml``)."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from typing import NamedTuple


class Elsewhere(NamedTuple):
    """Operations under one prefix (``METHOD /path``), and what they are for."""

    prefix: str
    reason: str
    operations: tuple[str, ...]


@cache
def load() -> tuple[Elsewhere, ...]:
    """All of them, by prefix."""
    with open(os.path.join(os.path.dirname(__file__), "not_served.toml"), "rb") as file:
        return tuple(
            Elsewhere(prefix, table["reason"], tuple(table["operations"]))
            for prefix, table in tomllib.load(file).items()
        )
