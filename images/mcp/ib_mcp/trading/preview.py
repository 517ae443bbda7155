"""What a preview tells: an order's worth and effect, what to mind, and the summary that a person approves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import cents, decimal, plain
from ib_mcp.trading import cautions
from ib_mcp.trading.cautions import Market
from ib_mcp.trading.contract_rules import ContractRules
from ib_mcp.trading.in_words import describe, describe_all
from ib_mcp.trading.order import Order
from ib_mcp.trading.tickets import Group
from ib_mcp.trading.what_if import WhatIf

Answer = dict[str, Any]
# Worth of these is not price times quantity as they are quoted here.
_NO_NOTIONAL = frozenset({"BOND", "BILL"})


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read about an order. ``held``: units, None where not told. ``rate``: of the base currency for one of
    the order's. ``what_if_failed``: why IBKR gave no what-if."""

    account: str
    rules: ContractRules
    market: Market
    held: Decimal | None
    base: str | None
    rate: Decimal | None
    what_if: WhatIf | None
    what_if_failed: str = ""


def unit_of(order: Order, rules: ContractRules) -> str:
    """In what its prices are: ``USD``, or ``GBP/100`` for pence."""
    return order.contract.currency + (f"/{plain(rules.magnifier)}" if rules.magnifier != 1 else "")


def notional(order: Order, market: Market, rules: ContractRules) -> Decimal | None:
    """In the order's currency, at its limit or trigger, else at what it would be filled at now."""
    if order.cash is not None:
        return order.cash
    price = next((each for each in (order.limit, order.stop) if each is not None), None)
    if price is None or order.type.name in ("midprice", "relative"):
        price = market.opposite(order.side) or market.reference or price
    multiplier = order.multiplier
    if price is None or order.quantity is None or multiplier is None or order.contract.kind in _NO_NOTIONAL:
        return None
    return abs(price * order.quantity * multiplier / rules.magnifier)


def told(orders: Sequence[Order], group: Group, seen: Seen) -> Answer:
    """All of it but the ticket; the part that a person is shown is ``summary``'s."""
    first = orders[0]
    unit = unit_of(first, seen.rules)
    lines = describe_all(orders, group, unit)
    answer: Answer = {
        "account": seen.account,
        "order": lines[0] if len(lines) == 1 else lines,
        "price": _price(seen.market, unit),
    }
    worth = notional(first, seen.market, seen.rules)
    if worth is not None:
        answer["notional"] = _notional(worth, first.contract.currency, seen)
    if seen.what_if is not None:
        if seen.what_if.cost:
            answer["cost"] = seen.what_if.cost
        if seen.what_if.margin:
            margins = {name: change.shown() for name, change in seen.what_if.margin.items()}
            answer["margin"] = margins | ({"currency": seen.base} if seen.base else {})
    if (position := _position(first, seen)) is not None:
        answer["position"] = position
    answer["warnings"] = list(dict.fromkeys(warnings(orders, group, seen)))
    return answer


def told_change(order_id: str, was: Order, becomes: Order, seen: Seen, unit: str) -> Answer:
    """A change of a working order: IBKR tells no what-if of it."""
    answer: Answer = {
        "account": seen.account,
        "order": f"change of order {order_id}: {describe(becomes, unit)}",
        "before": describe(was, unit),
        "price": _price(seen.market, unit),
    }
    worth = notional(becomes, seen.market, seen.rules)
    if worth is not None:
        answer["notional"] = _notional(worth, becomes.contract.currency, seen)
    found = [*cautions.of_market(becomes, seen.market), *cautions.of_order(becomes, seen.rules)]
    return answer | {"warnings": [*found, "IBKR tells no margin and commission of a change."]}


def warnings(orders: Sequence[Order], group: Group, seen: Seen) -> Iterable[str]:
    first = orders[0]
    # What closes a bracket works only later, so that the market of now says little about it.
    for order in orders if group == "oca" else orders[:1]:
        if order.contract.conid == first.contract.conid:
            yield from cautions.of_market(order, seen.market)
            yield from cautions.of_order(order, seen.rules)
        else:
            yield f"Price, hours and position of {order.symbol} were not looked at."
    yield from cautions.of_position(first, seen.held)
    yield from cautions.of_expiry(seen.market)
    yield from cautions.of_group(orders, group)
    if seen.what_if is None:
        yield f"IBKR gave no what-if, so commission and margin are not known. {seen.what_if_failed}".strip()
    else:
        yield from (f"IBKR: {text}" for text in seen.what_if.warnings)


def summary(answer: Answer) -> Answer:
    """What a person is shown before approving; paper or live is added by the guard."""
    lines = answer["order"]
    kept = ("account", "cost", "margin", "notional", "position", "price", "warnings")
    words = lines if isinstance(lines, str) else "; ".join(lines)
    return {"words": words, **{name: answer[name] for name in kept if name in answer}}


def _price(market: Market, unit: str) -> Answer:
    prices = {"bid": market.bid, "ask": market.ask, "last": market.last}
    shown: Answer = {name: plain(value) for name, value in prices.items() if value is not None}
    age = {} if market.age_s is None else {"age_ms": round(market.age_s * 1000)}
    updated = {} if market.updated is None else {"updated": market.updated}
    return {**shown, "unit": unit, "timing": market.timing, **age, **updated}


def _notional(worth: Decimal, currency: str, seen: Seen) -> Answer:
    found: Answer = {"amount": plain(cents(worth)), "currency": currency}
    if seen.base and seen.base != currency:
        in_base = None if seen.rate is None else worth * seen.rate
        found |= {"base_amount": plain(cents(in_base)), "base_currency": seen.base}
    return found


def _position(order: Order, seen: Seen) -> Answer | None:
    if order.legs or order.is_conversion:
        return None
    if seen.held is None:
        told_by_ibkr = seen.what_if.position if seen.what_if is not None else None
        return None if told_by_ibkr is None else told_by_ibkr.shown()
    if order.quantity is None:
        return {"before": plain(seen.held)}
    return {"before": plain(seen.held), "after": plain(seen.held + order.sign * order.quantity)}


def sealed(answer: Answer, found: Answer) -> Answer:
    """A preview with the guard's word about it: its ticket, or why there is none, and what to do next."""
    refused = [str(sentence) for sentence in found.get("refused") or ()]
    passed = [str(row.get("limit")) for row in objects(found.get("limits")) if row.get("passed")]
    mode = {"mode": found.get("mode") or "unknown"}
    limits: Answer = {"limits": {"passed": passed} | ({"refused": refused} if refused else {})}
    ticket = found.get("ticket")
    if ticket is None:
        why = " ".join(refused) or "The owner permits no more than previews."
        return mode | answer | limits | {"ticket": None, "next": f"It cannot be sent, and nothing was. {why}"}
    seconds = round(decimal(found.get("expires_in_s")) or 0)
    asks = "" if found.get("approval") == "none" else "; the owner is asked first"
    follow = f"Nothing was sent. submit_order with this ticket sends it, within {seconds} s{asks}."
    return mode | answer | limits | {"ticket": ticket, "expires_in_s": seconds, "next": follow}
