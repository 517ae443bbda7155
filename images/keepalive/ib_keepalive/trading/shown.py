"""What a person sees of an order before approving it: the words of whoever asked, and IBKR's own beside them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_keepalive.trading.facts import Facts, Instrument
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.terms import conids_of


def shown(intent: OrderIntent, summary: Mapping[str, Any], facts: Facts | None) -> dict[str, Any]:
    """``summary`` with ``instruments``: what IBKR calls them, by conid."""
    if facts is None:
        return dict(summary)
    named = {
        str(conid): _name(facts.instruments[conid]) for conid in conids_of(intent.orders) if conid in facts.instruments
    }
    return {**summary, "instruments": named}


def _name(instrument: Instrument) -> str:
    """E.g. ``AAPL, OPT, C 280, 20261218, 100 of each, USD, CBOE``."""
    right = f"{instrument.right} {instrument.strike}" if instrument.right else ""
    units = "" if instrument.multiplier in (None, 1) else f"{instrument.multiplier} of each"
    parts = (instrument.symbol, instrument.security_type, right, instrument.maturity, units, instrument.currency)
    return ", ".join(part for part in (*parts, instrument.exchange) if part)
