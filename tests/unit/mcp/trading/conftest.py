"""Instruments and orders of the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ib_mcp.trading.order import Leg, Order
from ib_mcp.trading.wording import OrderWords, leg_words, read
from support.order_words import KNOWN


@pytest.fixture
def order() -> Callable[..., Order]:
    """Makes one of an agent's words; 10 AAPL are bought unless they say otherwise."""

    def make(**words: Any) -> Order:
        extra = {name: words.pop(name) for name in ("algo", "algo_parameters", "convert") if name in words}
        legs = [Leg(KNOWN[symbol], ratio) for ratio, symbol in leg_words(words.pop("legs"))] if "legs" in words else []
        if "quantity" not in words and "cash" not in words:
            words["quantity"] = 10
        words = {"symbol": "AAPL", "side": "BUY"} | words
        contract = legs[0].contract if legs else KNOWN[words["symbol"]]
        return read(OrderWords(**words), contract, legs=legs, **extra)

    return make
