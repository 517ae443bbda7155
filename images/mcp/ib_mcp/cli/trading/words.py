"""A line of the audit for the eye."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160)), " ")
_AMOUNTS = {"quantity": "", "cashQty": " in money", "fxQty": " in money"}


def line(event: dict[str, Any], symbols: Mapping[str, Any]) -> str:
    """E.g. ``2026-11-28 14:30:01Z  outcome  claude  U1234567  place  BUY 5 AAPL LMT 100 DAY  filled``.

    ``symbols`` by conid, as events before it told them.
    """
    at = event.get("at")
    when = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}" if isinstance(at, (int, float)) else "?"
    who = str(event.get("caller") or event.get("by") or "")
    orders = event.get("orders") or ()
    words = "; ".join(_order(order, symbols) for order in orders if isinstance(order, dict))
    if not words and event.get("order_id"):
        words = f"order {event['order_id']}"
    parts = [when, str(event.get("event", "?")), who, str(event.get("account") or ""), str(event.get("kind") or "")]
    text = "  ".join(part for part in (*parts, words, _ending(event)) if part)
    # What others wrote must not move the cursor of a terminal.
    return text.translate(_CONTROL)


def _order(order: dict[str, Any], symbols: Mapping[str, Any]) -> str:
    amount = next(
        (f"{_plain(order[name])}{unit}" for name, unit in _AMOUNTS.items() if _is_number(order.get(name))), "?"
    )
    prices = [_plain(order[name]) for name in ("price", "auxPrice") if _is_number(order.get(name))]
    told = str(order.get("conidex") or order.get("conid"))
    what = symbols.get(told.partition("@")[0]) or f"conid {told}"
    parts = (order.get("side"), amount, what, order.get("orderType"), *prices, order.get("tif"))
    return " ".join(str(part) for part in parts if part)


def _ending(event: dict[str, Any]) -> str:
    limits, ids = event.get("limits"), event.get("order_ids")
    results = [each for each in limits if isinstance(each, dict)] if isinstance(limits, list) else []
    sentences = [each.get("sentence") for each in results if each.get("passed") is False]
    named = f"IBKR's order {', '.join(map(str, ids))}" if isinstance(ids, list) and ids else ""
    decision = event.get("decision")
    decided = f"{decision} by {event['by']}" if decision and event.get("by") else decision
    told = (event.get("outcome"), decided, named, event.get("message"), event.get("reason"), *sentences)
    return "  ".join(str(part) for part in told if part)


def _plain(number: float) -> str:
    return f"{Decimal(repr(number)):f}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
