"""What is written down and counted of orders: one event of the audit for each decision, with who, what and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.trading.audit import Audit
from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.facts import Facts, Instrument
from ib_keepalive.trading.intent import ALL_ORDERS, OrderIntent
from ib_keepalive.trading.limit_result import LimitResult
from ib_keepalive.trading.outcome import Outcome
from ib_keepalive.trading.terms import conids_of
from ibkr.errors import IbError

log = structlog.get_logger("ib_keepalive.trading")


class OrderRecord:
    """Every method may wait for the disk: call them off the event loop.

    OperationForbidden where what happens must not happen unwritten.
    """

    def __init__(self, audit: Audit, metrics: Metrics) -> None:
        self._audit = audit
        self._metrics = metrics

    def previewed(
        self, intent: OrderIntent, results: Sequence[LimitResult], ticket: str | None, facts: Facts | None
    ) -> None:
        """A preview was given, with a ticket or without. One that is only looked at needs no disk."""
        self._count([result.limit for result in results if not result.passed])
        self._quietly("previewed", synced=False, **_wanted(intent, facts), ticket=ticket, limits=_told(results))

    def refused(self, intent: OrderIntent, limit: str, message: str) -> None:
        """Nothing was sent, whatever the order is: ``limit`` names what is in the way."""
        self._count([limit])
        self._quietly("refused", synced=False, **_wanted(intent), limit=limit, message=message)

    def beyond(self, intent: OrderIntent, results: Sequence[LimitResult], facts: Facts) -> None:
        """Nothing was sent: some of the limits were not passed."""
        failed = [result for result in results if not result.passed]
        self._count([result.limit for result in failed])
        self._quietly("refused", synced=False, **_wanted(intent, facts), limits=_told(failed))

    def permitted(self, intent: OrderIntent, results: Sequence[LimitResult], ticket: str | None, facts: Facts) -> None:
        """All limits were passed, and it is about to be sent."""
        self._audit.write("permitted", synced=False, **_wanted(intent, facts), ticket=ticket, limits=_told(results))

    def asked(self, intent: OrderIntent, ticket: str) -> None:
        """A person has to approve it."""
        self._audit.write("asked", **_wanted(intent), ticket=ticket)

    def decided(self, intent: OrderIntent, ticket: str, decision: str, by: str) -> None:
        """A person's decision, ``approved`` or ``refused``."""
        self._audit.write("decided", **_wanted(intent), ticket=ticket, decision=decision, by=by)

    def sent(self, entry: Entry) -> None:
        """It leaves in this moment."""
        self._audit.write("sent", **_sent(entry))

    def ended(self, entry: Entry, outcome: Outcome) -> None:
        """What became of it, or that this is not known."""
        self._metrics.orders.labels(outcome.outcome).inc()
        ids = [order.order_id for order in outcome.orders if order.order_id not in (None, ALL_ORDERS)]
        question = None if outcome.question is None else outcome.question.to_json()
        told = {"outcome": outcome.outcome, "order_ids": ids, "message": outcome.message, "question": question}
        self._quietly("outcome", synced=False, **_sent(entry), **told)

    def stopped(self, by: str, reason: str, *, cancel_orders: bool) -> None:
        """Stopping must not fail because it cannot be written down."""
        self._quietly("stopped", by=by, reason=reason, cancel_orders=cancel_orders)

    def started(self, by: str) -> None:
        self._quietly("started", by=by)

    def _count(self, limits: Sequence[str]) -> None:
        for limit in limits:
            self._metrics.order_refusals.labels(limit).inc()

    def _quietly(self, event: str, *, synced: bool = True, **fields: Any) -> None:
        """What has happened already, or does not happen: nothing is gained by an error."""
        try:
            self._audit.write(event, synced=synced, **fields)
        except IbError as error:
            log.error("an event of the audit is lost", event_lost=event, reason=error.message)


def _wanted(intent: OrderIntent, facts: Facts | None = None) -> dict[str, Any]:
    """``symbols``: what IBKR calls the instruments, by conid, where it was asked."""
    found = {} if facts is None else facts.instruments
    return {
        "caller": intent.caller,
        "kind": intent.kind,
        "account": intent.account,
        "order_id": intent.order_id,
        "orders": [dict(order) for order in intent.orders],
        "symbols": {str(conid): _name(found[conid]) for conid in conids_of(intent.orders) if conid in found},
    }


def _name(instrument: Instrument) -> str:
    """E.g. ``AAPL``, ``AAPL OPT 20270115 C 200``."""
    if instrument.security_type == "STK":
        return instrument.symbol
    strike = "" if instrument.strike is None else f"{instrument.strike:f}"
    parts = (instrument.symbol, instrument.security_type, instrument.maturity, instrument.right, strike)
    return " ".join(part for part in parts if part)


def _sent(entry: Entry) -> dict[str, Any]:
    return {
        "caller": entry.caller,
        "kind": entry.kind,
        "account": entry.account,
        "order_id": entry.order_id,
        "orders": list(entry.orders),
        "client_order_ids": list(entry.client_order_ids),
        "ticket": entry.ticket,
        "entry": entry.id,
    }


def _told(results: Sequence[LimitResult]) -> list[dict[str, object]]:
    return [result.to_json() for result in results]
