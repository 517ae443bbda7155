"""Instruments and orders of the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ib_mcp.market.contract import Contract
from ib_mcp.trading.order import Leg, Order
from ib_mcp.trading.wording import OrderWords, leg_words, read

KNOWN = {
    each.symbol: each
    for each in (
        Contract(265598, "AAPL", "STK", "NASDAQ", "USD", "APPLE INC", "AAPL"),
        Contract(12087792, "EUR.USD", "CASH", "IDEALPRO", "USD", "", "EUR"),
        Contract(495512563, "ES 202612", "FUT", "CME", "USD", "", "ES"),
        Contract(7001, "AAPL 20261218 C 280", "OPT", "NASDAQ", "USD", "", "AAPL"),
        Contract(7002, "AAPL 20261218 C 290", "OPT", "NASDAQ", "USD", "", "AAPL"),
        Contract(8001, "HSBA@LSE", "STK", "LSE", "GBP", "", "HSBA"),
        Contract(8002, "BP.@LSE", "STK", "LSE", "GBP", "", "BP."),
        Contract(8003, "VUSA@SETS", "STK", "SETS", "GBP", "", "VUSA"),
        Contract(9001, "SAP@IBIS", "STK", "IBIS", "EUR", "", "SAP"),
        Contract(9002, "ALV@IBIS", "STK", "IBIS", "EUR", "", "ALV"),
        Contract(416904, "SPX", "IND", "CBOE", "USD", "", "SPX", also=("ES 202612",)),
        Contract(265598, "AAPL on IEX", "STK", "NASDAQ", "USD", "", "AAPL", asked_exchange="IEX"),
    )
}


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
