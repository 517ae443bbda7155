"""Whether written options are covered: by shares or futures, or by options that end no earlier. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from ib_keepalive.trading.facts import Facts
from ib_keepalive.trading.reckoning import OPTIONS

Kind = tuple[int | None, str]
"""The calls (C) or the puts (P) on an underlying, by its conid."""


def shortages(facts: Facts, changes: Mapping[int, Decimal]) -> dict[tuple[Kind, str], Decimal]:
    """Units of the underlying that are missing to cover the options which end on a day or later, below 0 what is left.

    It is reckoned with every pending sale and ``changes`` done: units by conid, below 0 when sold. Pending purchases
    cover nothing: they may never be filled. A put is covered by puts only.
    """
    held: dict[int, Decimal] = defaultdict(Decimal, facts.positions or {})
    for order in facts.pending or ():
        if order.side == "SELL":
            held[order.conid] -= order.remaining
    for conid, change in changes.items():
        held[conid] += change
    options: dict[Kind, list[tuple[str, Decimal]]] = defaultdict(list)
    for conid, position in held.items():
        instrument = facts.instruments.get(conid)
        if instrument is not None and instrument.security_type in OPTIONS:
            size = position * (instrument.multiplier or 1)
            options[instrument.underlying, instrument.right or ""].append((instrument.maturity, size))
    return {
        (kind, day): -sum((size for maturity, size in found if maturity >= day), _shares(held, kind, facts))
        for kind, found in options.items()
        for day in {maturity for maturity, _ in found}
    }


def uncovered(facts: Facts, changes: Mapping[int, Decimal]) -> Decimal:
    """The most units of one underlying that ``changes`` would leave without cover, and that are not so without them.

    Each kind and day is compared with itself: cover that one gains is none for another.
    """
    before = shortages(facts, dict.fromkeys(changes, Decimal()))
    after = shortages(facts, changes)
    worse = (min(after[at], after[at] - before[at]) for at in after if after[at] > max(before[at], Decimal()))
    return max(worse, default=Decimal())


def _shares(held: Mapping[int, Decimal], kind: Kind, facts: Facts) -> Decimal:
    underlying, right = kind
    if underlying is None or right != "C":
        return Decimal()
    instrument = facts.instruments.get(underlying)
    size = held.get(underlying, Decimal()) * ((instrument.multiplier if instrument else None) or 1)
    return max(Decimal(), size)
