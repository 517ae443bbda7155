"""What IBKR answers: one function per operation of the catalogue, from the world and the call."""

from __future__ import annotations

from collections.abc import Callable

from ib_simulator.answers import (
    accounts,
    alerts,
    allocation,
    analyst,
    balances,
    contracts,
    definitions,
    derivatives,
    forecasts,
    history,
    ledger,
    models,
    monitoring,
    notifications,
    orders,
    portfolio,
    removed,
    scanner,
    schedules,
    search,
    snapshot,
    transactions,
    watchlists,
)
from ib_simulator.call import Answer, Call
from ib_simulator.world import World

Answerer = Callable[[World, Call], Answer]

ANSWERS: dict[str, Answerer] = {
    **accounts.ANSWERS,
    **alerts.ANSWERS,
    **allocation.ANSWERS,
    **analyst.ANSWERS,
    **balances.ANSWERS,
    **contracts.ANSWERS,
    **definitions.ANSWERS,
    **derivatives.ANSWERS,
    **forecasts.ANSWERS,
    **history.ANSWERS,
    **ledger.ANSWERS,
    **models.ANSWERS,
    **monitoring.ANSWERS,
    **notifications.ANSWERS,
    **orders.ANSWERS,
    **portfolio.ANSWERS,
    **removed.ANSWERS,
    **scanner.ANSWERS,
    **schedules.ANSWERS,
    **search.ANSWERS,
    **snapshot.ANSWERS,
    **transactions.ANSWERS,
    **watchlists.ANSWERS,
}
"""By operation id; the session's own operations are answered before this table is asked."""

__all__ = ["ANSWERS", "Answerer"]
