"""Whether written options are covered: by shares or futures, or by options that end no earlier. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ib_keepalive.trading.facts import Facts, Instrument
from ib_keepalive.trading.reckoning import OPTIONS


def uncovered(facts: Facts, changes: Mapping[int, Decimal]) -> Decimal:
    """Units of underlyings that short options are not covered for, once every pending sale and ``changes`` are done.

    ``changes``: units by conid, below 0 when sold. Pending purchases cover nothing: they may never be filled. A put is
    covered by puts only.
    """
    held: dict[int, Decimal] = defaultdict(Decimal, facts.positions or {})
    for order in facts.pending or ():
        if order.side == "SELL":
            held[order.conid] -= order.remaining
    for conid, change in changes.items():
        held[conid] += change
    options: dict[tuple[int | None, str], list[tuple[Instrument, Decimal]]] = defaultdict(list)
    for conid, position in held.items():
        instrument = facts.instruments.get(conid)
        if instrument is not None and instrument.security_type in OPTIONS and position:
            size = position * (instrument.multiplier or 1)
            options[instrument.underlying, instrument.right or ""].append((instrument, size))
    return sum((_of_one(found, _shares(held, key, facts)) for key, found in options.items()), Decimal())


def _shares(held: Mapping[int, Decimal], key: tuple[int | None, str], facts: Facts) -> Decimal:
    underlying, right = key
    if underlying is None or right != "C":
        return Decimal()
    instrument = facts.instruments.get(underlying)
    size = held.get(underlying, Decimal()) * ((instrument.multiplier if instrument else None) or 1)
    return max(Decimal(), size)


def _of_one(options: Iterable[tuple[Instrument, Decimal]], shares: Decimal) -> Decimal:
    """The most that is missing for the options which end on some day or later."""
    found = list(options)
    missing = [Decimal()]
    for day in {instrument.maturity for instrument, size in found if size < 0}:
        later = [size for instrument, size in found if instrument.maturity >= day]
        short = -sum((size for size in later if size < 0), Decimal())
        missing.append(short - sum((size for size in later if size > 0), Decimal()) - shares)
    return max(missing)
