"""Instruments that IBKR is not asked for, and each type of order as an agent writes it with what IBKR calls it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ib_mcp.market.contract import Contract

KNOWN = {
    each.symbol: each
    for each in (
        Contract(265598, "AAPL", "STK", "NASDAQ", "USD", "APPLE INC", "AAPL"),
        Contract(12087792, "EUR.USD", "CASH", "IDEALPRO", "USD", "", "EUR"),
        Contract(495512563, "ES 202612", "FUT", "CME", "USD", "", "ES"),
        Contract(7001, "AAPL 20261218 C 280", "OPT", "NASDAQ", "USD", "", "AAPL", multiplier=Decimal(100)),
        Contract(7002, "AAPL 20261218 C 290", "OPT", "NASDAQ", "USD", "", "AAPL", multiplier=Decimal(100)),
        Contract(8001, "HSBA@LSE", "STK", "LSE", "GBP", "", "HSBA"),
        Contract(8002, "BP.@LSE", "STK", "LSE", "GBP", "", "BP."),
        Contract(8003, "VUSA@SETS", "STK", "SETS", "GBP", "", "VUSA"),
        Contract(9001, "SAP@IBIS", "STK", "IBIS", "EUR", "", "SAP"),
        Contract(479624278, "BTC", "CRYPTO", "PAXOS", "USD", "", "BTC"),
        Contract(9002, "ALV@IBIS", "STK", "IBIS", "EUR", "", "ALV"),
        Contract(416904, "SPX", "IND", "CBOE", "USD", "", "SPX", also=("ES 202612",)),
        Contract(265598, "AAPL on IEX", "STK", "NASDAQ", "USD", "", "AAPL", asked_exchange="IEX"),
    )
}

TYPE_CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "market": ({}, {"orderType": "MKT"}),
    "limit": ({"limit": "240.1"}, {"orderType": "LMT", "price": 240.1}),
    "stop": ({"stop": 250}, {"orderType": "STP", "price": 250}),
    "stop_limit": ({"stop": 250, "limit": 251.5}, {"orderType": "STOP_LIMIT", "price": 251.5, "auxPrice": 250}),
    "trailing": ({"trail": "2%"}, {"orderType": "TRAIL", "trailingAmt": 2, "trailingType": "%"}),
    "trailing_limit": (
        {"trail": 1.5, "stop": 250, "limit": 251},
        {"orderType": "TRAILLMT", "price": 251, "auxPrice": 250, "trailingAmt": 1.5, "trailingType": "amt"},
    ),
    "mit": ({"stop": 230}, {"orderType": "MIT", "price": 230}),
    "lit": ({"stop": 230, "limit": 229}, {"orderType": "LIT", "price": 229, "auxPrice": 230}),
    "market_on_close": ({}, {"orderType": "MOC"}),
    "limit_on_close": ({"limit": 240}, {"orderType": "LOC", "price": 240}),
    "midprice": ({"limit": 241}, {"orderType": "MIDPRICE", "price": 241}),
    "relative": ({"trail": "0.02", "limit": 241}, {"orderType": "REL", "price": 241, "auxPrice": 0.02}),
}
