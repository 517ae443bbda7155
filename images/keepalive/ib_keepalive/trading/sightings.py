"""What IBKR's lists show of an order whose answer was lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ib_keepalive.trading.entries import Entry
from ib_keepalive.trading.outcome import OrderState, Outcome, from_status, in_words

# IBKR's status of an order that nothing will change any more.
_FINAL = frozenset({"filled", "cancelled", "inactive"})
_CANCELLING = frozenset({"cancelled", "pendingcancel", "precancelled", "inactive"})
_COMPARED = {"quantity": "totalSize", "price": "price", "auxPrice": "auxPrice"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """IBKR's lists of one account: ``orders`` of the day and ``trades`` (executions), as rows."""

    orders: Sequence[Mapping[str, Any]]
    trades: Sequence[Mapping[str, Any]]


def recognise(entry: Entry, sighting: Sighting, *, is_last: bool) -> Outcome | None:
    """What became of ``entry``, None while these lists do not tell. ``is_last``: its absence is an answer too."""
    if entry.kind == "place":
        return _placed(entry, sighting) or (_absent(entry) if is_last else None)
    if entry.kind == "modify":
        return _modified(entry, sighting, is_last=is_last)
    return _cancelled(entry, sighting, is_last=is_last)


def recognise_name(client_order_id: str, sighting: Sighting) -> Outcome | None:
    """The state of the order under a client order id, None while these lists do not tell."""
    row, filled = _by_name(sighting.orders, client_order_id), _filled(sighting.trades, client_order_id)
    if row is None and not filled:
        return None
    return _outcome_of((OrderState(client_order_id, _order_id(row), _status(row, filled)),), row, filled)


def _placed(entry: Entry, sighting: Sighting) -> Outcome | None:
    names = entry.client_order_ids
    states = []
    parent: Mapping[str, Any] | None = None
    for place, name in enumerate(names):
        row = _by_name(sighting.orders, name) if name else _child(entry, place, sighting.orders, parent)
        if name and row is not None and parent is None:
            parent = row
        states.append((name, row, _filled(sighting.trades, name) if name else 0.0))
    seen = [(name, row, filled) for name, row, filled in states if row is not None or filled]
    if not seen:
        return None
    orders = tuple(OrderState(name, _order_id(row), _status(row, filled)) for name, row, filled in states)
    _, row, filled = seen[0]
    return _outcome_of(orders, row, filled)


def _outcome_of(orders: tuple[OrderState, ...], row: Mapping[str, Any] | None, filled: float) -> Outcome:
    status = _status(row, filled)
    remaining = _number(row, "remainingQuantity")
    outcome = from_status(status, max(filled, _number(row, "filledQuantity") or 0.0), remaining)
    return Outcome(outcome, f"Looked up at IBKR: {in_words(outcome, status)}", orders)


def _absent(entry: Entry) -> Outcome:
    return Outcome(
        "not_placed",
        "IBKR does not know the order: what was sent did not reach it. To place it, preview it anew.",
        tuple(OrderState(name, None, None) for name in entry.client_order_ids),
    )


def _modified(entry: Entry, sighting: Sighting, *, is_last: bool) -> Outcome | None:
    row = _by_id(sighting.orders, entry.order_id)
    if row is None:
        return _gone(entry) if is_last else None
    status = str(row.get("status", ""))
    name = row.get("order_ref")
    state = OrderState(str(name) if name else None, entry.order_id, status)
    order = entry.orders[0]
    is_changed = all(
        _number(row, shown) == float(order[name])
        for name, shown in _COMPARED.items()
        if name in order and row.get(shown)
    )
    if not is_changed and not is_last and status.lower() not in _FINAL:
        return None
    outcome = from_status(status, _number(row, "filledQuantity") or 0.0, _number(row, "remainingQuantity"))
    done = "the change was made" if is_changed else "the change was not made"
    return Outcome(outcome, f"Looked up at IBKR: {done}. {in_words(outcome, status)}", (state,))


def _cancelled(entry: Entry, sighting: Sighting, *, is_last: bool) -> Outcome | None:
    if entry.kind == "cancel_all":
        working = [row for row in sighting.orders if str(row.get("status", "")).lower() not in _FINAL | _CANCELLING]
        if working and not is_last:
            return None
        if working:
            return Outcome("working", f"Not everything was cancelled: {len(working)} orders work still.")
        return Outcome("cancelled", "Looked up at IBKR: no order works any more.")
    row = _by_id(sighting.orders, entry.order_id)
    if row is None:
        return _gone(entry) if is_last else None
    status = str(row.get("status", ""))
    state = OrderState(None, entry.order_id, status)
    if status.lower() in _CANCELLING:
        return Outcome("cancelled", "Looked up at IBKR: the order is being cancelled, or is.", (state,))
    if status.lower() not in _FINAL and not is_last:
        return None
    outcome = from_status(status, _number(row, "filledQuantity") or 0.0, _number(row, "remainingQuantity"))
    return Outcome(outcome, f"The order was not cancelled: {in_words(outcome, status)}", (state,))


def _gone(entry: Entry) -> Outcome:
    return Outcome("cancelled", "IBKR does not list the order any more.", (OrderState(None, entry.order_id, None),))


def _by_name(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row.get("order_ref") == name), None)


def _by_id(rows: Sequence[Mapping[str, Any]], order_id: str | None) -> Mapping[str, Any] | None:
    return next((row for row in rows if str(row.get("orderId")) == order_id), None)


def _child(
    entry: Entry, place: int, rows: Sequence[Mapping[str, Any]], parent: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """A bracket's child, which has no id of ours: the one of its kind with the next numbers after its parent's."""
    order = entry.orders[place]
    if parent is None:
        return None
    alike = [
        row
        for row in rows
        if row.get("conid") == order.get("conid")
        and str(row.get("side", "")).upper() == order["side"]
        and not row.get("order_ref")
        and (_number(row, "orderId") or 0.0) > (_number(parent, "orderId") or 0.0)
    ]
    alike.sort(key=lambda row: _number(row, "orderId") or 0.0)
    at = sum(earlier["side"] == order["side"] and "parentId" in earlier for earlier in entry.orders[:place])
    return alike[at] if at < len(alike) else None


def _filled(trades: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(_number(row, "size") or 0.0 for row in trades if row.get("order_ref") == name)


def _status(row: Mapping[str, Any] | None, filled: float) -> str | None:
    if row is not None and row.get("status"):
        return str(row["status"])
    return "Filled" if filled else None


def _order_id(row: Mapping[str, Any] | None) -> str | None:
    return str(row["orderId"]) if row is not None and row.get("orderId") is not None else None


def _number(row: Mapping[str, Any] | None, name: str) -> float | None:
    try:
        return float(str((row or {}).get(name)).replace(",", ""))
    except ValueError:
        return None
