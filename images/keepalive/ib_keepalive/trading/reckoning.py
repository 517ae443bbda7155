"""What an order comes to at worst: units of each instrument, and money in the base currency. Pure.

Where something has to be known and is not, ``Unknown`` says what. Everything errs to the larger figure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ib_keepalive.trading.facts import Facts, Instrument, PendingOrder, Price
from ib_keepalive.trading.terms import Leg, Terms, alternatives

OPTIONS = frozenset({"OPT", "FOP", "WAR", "IOPT"})
# Quoted in percent of par; an order's unit is a bond of 1,000.
_BONDS = frozenset({"BOND", "BILL"})
_PAR = Decimal(1000)


class Unknown(Exception):
    """What cannot be reckoned, as a clause: ``the price of AAPL is 75 s old``."""


def market(facts: Facts, conid: int, max_age_s: float) -> Price:
    """The price of an instrument. Unknown when there is none, or it is too old."""
    price = facts.prices.get(conid)
    name = _name(facts, conid)
    if price is None or not _quotes(price):
        raise Unknown(f"IBKR tells no price of {name}")
    if price.age_s > max_age_s:
        raise Unknown(f"the price of {name} is {price.age_s:.0f} s old and may be {max_age_s:g} s old")
    return price


def units(terms: Terms, facts: Facts, max_age_s: float) -> dict[int, Decimal]:
    """Units by conid, above 0 when bought. Of an amount of money as many as it may buy."""
    quantity = terms.quantity
    if quantity is None:
        assert terms.cash is not None
        conid = terms.legs[0].conid
        quantity = terms.cash
        instrument = instrument_of(facts, conid)
        if instrument.security_type != "CASH":
            price = min(_quotes(market(facts, conid, max_age_s)))
            if terms.limit is not None:
                price = min(price, terms.limit)
            if price <= 0:
                raise Unknown(f"IBKR tells no price of {_name(facts, conid)} by which an amount could be divided")
            quantity = terms.cash / (_unit_value(instrument) * price)
    return {leg.conid: quantity * leg.units for leg in terms.legs}


def order_notional(terms: Terms, facts: Facts, max_age_s: float) -> Decimal:
    """What an order costs or earns at most, in the base currency. An option that is written counts with its strike."""
    if terms.cash is not None:
        return terms.cash * _cash_rate(facts, instrument_of(facts, terms.legs[0].conid))
    assert terms.quantity is not None
    values = [_leg_value(leg, terms, facts, max_age_s) for leg in terms.legs]
    return terms.quantity * sum(values, Decimal())


def notional(terms: Sequence[Terms], facts: Facts, max_age_s: float) -> Decimal:
    """What the orders of one place call come to. What only ends what the first opens is not counted."""
    counted = [each for each in terms if not each.is_exit]
    return _together(counted, [order_notional(each, facts, max_age_s) for each in counted])


def added_notional(
    terms: Sequence[Terms], replaced: Mapping[int, PendingOrder], facts: Facts, max_age_s: float
) -> Decimal:
    """What the orders add to what was sent before; of a change what it makes larger than what it has ``replaced``."""
    whole = notional(terms, facts, max_age_s)
    before = replaced.get(terms[0].legs[0].conid)
    if before is None or terms[0].is_combination:
        return whole
    is_stop = before.order_type in ("STP", "TRAIL", "MIT")
    earlier = Terms(
        legs=terms[0].legs,
        side=before.side,
        type=before.order_type,
        tif="DAY",
        quantity=before.total,
        limit=None if is_stop else before.price,
        stop=before.price if is_stop else None,
    )
    return max(Decimal(), whole - order_notional(earlier, facts, max_age_s))


def largest(terms: Sequence[Terms], facts: Facts, max_age_s: float) -> Decimal:
    """The most units of one instrument that the orders of one place call trade."""
    counted = [each for each in terms if not each.is_exit]
    each_units = [units(each, facts, max_age_s) for each in counted]
    conids = dict.fromkeys(conid for one in each_units for conid in one)
    return max(_together(counted, [abs(one.get(conid, Decimal())) for one in each_units]) for conid in conids)


def sold(terms: Sequence[Terms], facts: Facts, max_age_s: float) -> dict[int, Decimal]:
    """Units sold by conid at most, without those that a bracket buys before."""
    by_leg: dict[int, list[tuple[Terms, Decimal]]] = defaultdict(list)
    for each in terms:
        if not each.is_exit:
            for conid, amount in units(each, facts, max_age_s).items():
                if amount < 0:
                    by_leg[conid].append((each, -amount))
    return {conid: _together([t for t, _ in found], [a for _, a in found]) for conid, found in by_leg.items()}


def distance_percent(terms: Terms, facts: Facts, max_age_s: float) -> Decimal:
    """How far the limit is from the market, in percent of the market's price.

    Where another price triggers the order first, from that one. What ends a bracket is measured to the worse side only:
    a target is far from the market on purpose. Of a combination in percent of what its legs come to.
    """
    assert terms.limit is not None
    if terms.is_combination:
        net, gross = _combination_price(terms, facts, max_age_s)
        worse = terms.limit - net if terms.side == "BUY" else net - terms.limit
    else:
        net = gross = _trigger(terms, _side_price(market(facts, terms.legs[0].conid, max_age_s), terms.side))
        worse = terms.limit - net if terms.side == "BUY" else net - terms.limit
    if not gross:
        raise Unknown("the price of the market is 0")
    return (max(worse, Decimal()) if terms.is_exit else abs(worse)) / abs(gross) * 100


def instrument_of(facts: Facts, conid: int) -> Instrument:
    """Unknown where IBKR does not describe it."""
    instrument = facts.instruments.get(conid)
    if instrument is None:
        raise Unknown(f"IBKR does not describe the instrument {conid}")
    return instrument


def _together(terms: Sequence[Terms], amounts: Sequence[Decimal]) -> Decimal:
    """The sum, with those of one instrument and side only once where one cancels the others."""
    total = sum((amount for each, amount in zip(terms, amounts, strict=True) if not each.is_alternative), Decimal())
    groups: dict[object, list[int]] = defaultdict(list)
    for number, each in enumerate(terms):
        if each.is_alternative:
            groups[tuple((leg.conid, leg.units > 0) for leg in each.legs)].append(number)
    return total + sum(
        (alternatives([terms[n] for n in group], [amounts[n] for n in group]) for group in groups.values()), Decimal()
    )


def _leg_value(leg: Leg, terms: Terms, facts: Facts, max_age_s: float) -> Decimal:
    """Of one unit of the order, in the base currency."""
    instrument = instrument_of(facts, leg.conid)
    value = abs(leg.units) * _unit_value(instrument) * _rate(facts, instrument.currency)
    if instrument.security_type in OPTIONS and leg.units < 0 and not _is_held(leg, terms, facts):
        if instrument.strike is None:
            raise Unknown(f"IBKR does not tell the strike of {_name(facts, leg.conid)}")
        price = _worst_price(leg, terms, facts, max_age_s) if terms.limit is None else abs(terms.limit)
        return value * max(price, instrument.strike)
    return value * _worst_price(leg, terms, facts, max_age_s)


def _worst_price(leg: Leg, terms: Terms, facts: Facts, max_age_s: float) -> Decimal:
    own = [abs(price) for price in (terms.limit, terms.stop) if price is not None and not terms.is_combination]
    if terms.is_bounded and not terms.is_combination:
        assert terms.limit is not None
        return abs(terms.limit)
    quoted = max(map(abs, _quotes(market(facts, leg.conid, max_age_s))))
    if terms.trail is not None and not terms.is_combination:
        own.append(quoted * (1 + abs(terms.trail) / 100) if terms.is_percent else quoted + abs(terms.trail))
    return max([quoted, *own])


def _trigger(terms: Terms, price: Decimal) -> Decimal:
    """The market's price when the order begins to work."""
    if terms.stop is None:
        return price
    # A stop waits for a worse price, the others for a better one.
    waits_for_more = (terms.side == "BUY") == (terms.type in ("STOP_LIMIT", "TRAILLMT"))
    return max(price, terms.stop) if waits_for_more else min(price, terms.stop)


def _side_price(price: Price, side: str) -> Decimal:
    """What who buys or sells at the market gets."""
    wished = (price.ask, price.last, price.bid) if side == "BUY" else (price.bid, price.last, price.ask)
    return next(value for value in wished if value is not None)


def _combination_price(terms: Terms, facts: Facts, max_age_s: float) -> tuple[Decimal, Decimal]:
    """Of one unit as quoted: what is paid in all, and the sum of what the legs come to."""
    sign = 1 if terms.side == "BUY" else -1
    prices = [
        (leg.units, _side_price(market(facts, leg.conid, max_age_s), "BUY" if leg.units > 0 else "SELL"))
        for leg in terms.legs
    ]
    return sign * sum((u * p for u, p in prices), Decimal()), sum((abs(u * p) for u, p in prices), Decimal())


def _is_held(leg: Leg, terms: Terms, facts: Facts) -> bool:
    """Whether the option that is sold is one that is there already, or that the same combination covers."""
    if terms.quantity is None or facts.positions is None:
        return False
    instrument = facts.instruments[leg.conid]
    covering = sum(
        other.units
        for other in terms.legs
        if other.units > 0
        and (one := facts.instruments.get(other.conid)) is not None
        and (one.right, one.underlying, one.multiplier)
        == (instrument.right, instrument.underlying, instrument.multiplier)
        and one.maturity >= instrument.maturity
    )
    selling = sum(-other.units for other in terms.legs if other.units < 0)
    if covering >= selling:
        return True
    pending = sum((p.remaining for p in facts.pending or () if p.conid == leg.conid and p.side == "SELL"), Decimal())
    return facts.positions.get(leg.conid, Decimal()) - pending >= -leg.units * terms.quantity


def _unit_value(instrument: Instrument) -> Decimal:
    """Money for one unit at a quoted price of 1."""
    if instrument.security_type in _BONDS:
        return _PAR / 100
    if not instrument.multiplier or not instrument.divisor:
        raise Unknown(f"IBKR does not tell the multiplier of {instrument.symbol} {instrument.security_type}")
    return instrument.multiplier / instrument.divisor


def _cash_rate(facts: Facts, instrument: Instrument) -> Decimal:
    """Of an amount of money. Which currency of a pair it is in, IBKR does not say everywhere: the dearer."""
    rate = _rate(facts, instrument.currency)
    return max(rate, _rate(facts, instrument.symbol)) if instrument.security_type == "CASH" else rate


def _rate(facts: Facts, currency: str) -> Decimal:
    if currency == facts.base:
        return Decimal(1)
    rate = facts.rates.get(currency)
    if rate is None or rate <= 0:
        raise Unknown(
            f"IBKR tells no rate from {currency or 'an unknown currency'} to {facts.base or 'the base currency'}"
        )
    return rate


def _quotes(price: Price) -> list[Decimal]:
    return [value for value in (price.bid, price.ask, price.last) if value is not None]


def _name(facts: Facts, conid: int) -> str:
    instrument = facts.instruments.get(conid)
    return str(conid) if instrument is None else f"{instrument.symbol} ({instrument.security_type})"
