"""What the agent of the present call may do."""

from __future__ import annotations

from contextvars import ContextVar

# The scopes of its token; None for an agent on this machine, which shows none and may do what the server may.
scopes: ContextVar[frozenset[str] | None] = ContextVar("scopes", default=None)


def has(scope: str) -> bool:
    """Whether the agent of the present call was granted ``scope``."""
    given = scopes.get()
    return given is None or scope in given
