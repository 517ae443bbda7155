"""What IBKR answers: one function per operation of the catalogue, from the world and the call."""

from __future__ import annotations

from collections.abc import Callable

from ..call import Answer, Call
from ..world import World
from . import accounts, history, portfolio, search, snapshot

Answerer = Callable[[World, Call], Answer]

ANSWERS: dict[str, Answerer] = {
    **accounts.ANSWERS,
    **history.ANSWERS,
    **portfolio.ANSWERS,
    **search.ANSWERS,
    **snapshot.ANSWERS,
}
"""By endpoint id; the session's own operations are answered before this table is asked."""

__all__ = ["ANSWERS", "Answerer"]
