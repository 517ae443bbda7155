"""What orders IBKR takes for an instrument, and what is wrong with one, with the value that would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, get_args

from ib_mcp.formats.bodies import listed_in, objects
from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.text import untrusted
from ib_mcp.trading.order import Order
from ib_mcp.trading.order_types import BY_RULE, Tif

_ONE = Decimal(1)
# IBKR's marks behind a time in force that are no types of orders.
_SHORT = 1
# Where IBKR says that it takes the night's session, these two are taken though not listed.
_OVERNIGHT = ("OVT", "OND")


@dataclass(frozen=True, slots=True)
class Tick:
    """``increment`` of prices from ``lower`` on."""

    lower: Decimal
    increment: Decimal


@dataclass(frozen=True, slots=True)
class ContractRules:
    """IBKR's names of types (``trailing_stop``); None where IBKR tells nothing, which then allows everything.

    ``tifs`` by name with the types of orders that they are for; none of them means all. ``fraction``: the smallest
    part of a unit. ``usual_step``: what IBKR's own programs count in, which is no rule where odd lots are traded.
    ``magnifier``: prices as quoted in one of the currency, 100 for pence.
    """

    types: frozenset[str] | None
    outside: frozenset[str] | None
    algo_types: frozenset[str]
    cash_types: frozenset[str]
    fraction_types: frozenset[str]
    tifs: dict[str, frozenset[str]]
    ticks: tuple[Tick, ...]
    fraction: Decimal
    usual_step: Decimal | None
    accounts: frozenset[str] | None
    magnifier: Decimal
    problem: str


def parse(body: dict[str, Any]) -> ContractRules:
    """Of the answer of ``/iserver/contract/rules``."""
    step = decimal(body.get("sizeIncrement"))
    digits = decimal(body.get("fraqInt"))
    fraction = _ONE.scaleb(-int(digits)) if digits and 0 < digits <= 8 else _ONE
    if step is not None and 0 < step < 1:
        fraction = step
    tifs = dict(map(_tif, listed_in(body.get("tifTypes"))))
    if body.get("overnightEligible") is True and tifs:
        tifs |= {name: frozenset({"limit"}) for name in _OVERNIGHT if name not in tifs}
    accounts = listed_in(body.get("canTradeAcctIds"))
    return ContractRules(
        types=_names(body, "orderTypes"),
        outside=_names(body, "orderTypesOutside"),
        algo_types=_names(body, "ibAlgoTypes") or frozenset(),
        cash_types=_names(body, "cqtTypes") or frozenset(),
        fraction_types=_names(body, "fraqTypes") or frozenset(),
        tifs=tifs,
        ticks=tuple(_ticks(body)),
        fraction=fraction,
        usual_step=step,
        accounts=frozenset(map(str, accounts)) if accounts else None,
        magnifier=decimal(body.get("priceMagnifier")) or _ONE,
        problem=untrusted(body.get("error"), 200),
    )


def _names(body: dict[str, Any], key: str) -> frozenset[str] | None:
    value = body.get(key)
    return frozenset(str(name).lower() for name in value) if isinstance(value, list) else None


def _tif(text: Any) -> tuple[str, frozenset[str]]:
    """``IOC/MARKET,LIMIT,a``: the time in force, the types it is for, and marks."""
    name, _, rest = str(text).partition("/")
    return name, frozenset(part.lower() for part in rest.split(",") if len(part) > _SHORT)


def _ticks(body: dict[str, Any]) -> Iterable[Tick]:
    rows = objects(body.get("incrementRules")) or [{"lowerEdge": 0, "increment": body.get("increment")}]
    ticks = [
        Tick(decimal(row.get("lowerEdge")) or Decimal(0), decimal(row.get("increment")) or Decimal(0)) for row in rows
    ]
    return sorted((tick for tick in ticks if tick.increment > 0), key=lambda tick: tick.lower)


def problems(order: Order, rules: ContractRules, account: str) -> list[str]:
    """Sentences on everything that IBKR would refuse ``order`` for, each with what would be right."""
    if rules.problem:
        return [f"IBKR takes no orders for {order.symbol}: {rules.problem}."]
    if rules.accounts is not None and account not in rules.accounts:
        return [f"The account {account} may not trade {order.symbol}; {', '.join(sorted(rules.accounts))} may."]
    # Of a combination IBKR tells no rules, and those of its legs are others: it says itself what it does not take.
    found = (
        []
        if order.legs
        else [*_type_problems(order, rules), *_tif_problems(order, rules), *_ticks_missed(order, rules)]
    )
    if order.quantity is not None and not order.is_conversion:
        found += _quantity_problems(order, order.quantity, rules)
    return found


def _ticks_missed(order: Order, rules: ContractRules) -> Iterable[str]:
    for name, price in (("limit", order.limit), ("stop", order.stop)):
        if price is not None:
            yield from _price_problems(name, price, rules)
    if order.trail is not None and not order.trail.is_percent:
        yield from _price_problems("trail", order.trail.amount, rules)


def _type_problems(order: Order, rules: ContractRules) -> Iterable[str]:
    kind = order.type
    if rules.types is not None and kind.rule not in rules.types:
        yield f"IBKR takes no {kind.words} order for {order.symbol}; it takes {_words(rules.types)}."
    elif order.outside_hours and rules.outside is not None and kind.rule not in rules.outside:
        others = f"only {_words(rules.outside)} are" if rules.outside else "none is"
        yield f"A {kind.words} order for {order.symbol} is not taken outside regular hours; {others}."
    if order.algo is not None and kind.rule not in rules.algo_types:
        takes = f"they take {_words(rules.algo_types)}" if rules.algo_types else "it has none"
        yield f"Algos for {order.symbol} take no {kind.words} order; {takes}."
    if order.cash is not None and not order.is_conversion and kind.rule not in rules.cash_types:
        takes = f"with {_words(rules.cash_types)} it is" if rules.cash_types else "give quantity"
        yield f"An amount of money is not taken for a {kind.words} order in {order.symbol}; {takes}."


def _tif_problems(order: Order, rules: ContractRules) -> Iterable[str]:
    if not rules.tifs:
        return
    if order.tif not in rules.tifs:
        known = [tif for tif in get_args(Tif) if tif in rules.tifs]
        yield f"IBKR takes no {order.tif} for {order.symbol}; it takes {', '.join(known)}."
    elif rules.tifs[order.tif] and order.type.rule not in rules.tifs[order.tif]:
        fitting = _words(rules.tifs[order.tif])
        yield f"{order.tif} is not taken with a {order.type.words} order, only with {fitting}."


def _price_problems(name: str, price: Decimal, rules: ContractRules) -> Iterable[str]:
    tick = _tick_at(abs(price), rules.ticks)
    if tick is None or price % tick == 0:
        return
    lower, upper = (tick * (price / tick).to_integral_value(way) for way in (ROUND_FLOOR, ROUND_CEILING))
    yield f"{name} {price:f} is not a multiple of the price increment {tick:f}: give {lower:f} or {upper:f}."


def _tick_at(price: Decimal, ticks: Sequence[Tick]) -> Decimal | None:
    return next((tick.increment for tick in reversed(ticks) if price >= tick.lower), None)


def _quantity_problems(order: Order, quantity: Decimal, rules: ContractRules) -> Iterable[str]:
    may_be_part = order.type.rule in rules.fraction_types or (rules.fraction < 1 and not rules.fraction_types)
    if order.contract.kind == "CASH" and not order.legs:
        return
    smallest = rules.fraction if may_be_part and not order.legs else _ONE
    if quantity % smallest == 0:
        return
    lower, upper = (smallest * (quantity / smallest).to_integral_value(way) for way in (ROUND_FLOOR, ROUND_CEILING))
    rest = f"give {lower:f} or {upper:f}" if lower else f"the least is {upper:f}"
    why = "in steps of" if smallest < 1 else "in whole units of"
    yield f"quantity {quantity:f} is not possible: {order.symbol} is traded {why} {smallest:f}; {rest}."


def is_fraction(order: Order) -> bool:
    return order.quantity is not None and order.quantity % 1 != 0


def _words(rules: Iterable[str]) -> str:
    """Types in the words that agents use; those without one are left out."""
    known = [BY_RULE[rule] for rule in BY_RULE if rule in set(rules)]
    return ", ".join(kind.name for kind in known) or "no type that is known here"
