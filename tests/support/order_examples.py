"""Orders as an agent writes them, and what IBKR is asked for each: docs/trading.md shows them too.

An instrument in a request stands by its symbol in braces, for which tests put its conid. Shapes, names and types are
those of IBKR's documentation: a limit order, a bracket, a one-cancels-all group, a trailing stop, an amount of money, a
currency conversion, a future, an option, a spread and an algo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PAPER = "DU7420001"
CALL, HIGHER_CALL = "AAPL 20261218 C 280", "AAPL 20261218 C 290"
PARENT = "{parent}"


@dataclass(frozen=True)
class Example:
    """``arguments`` of preview_order; ``orders`` of the what-if, and, with client order ids, of the place call."""

    name: str
    arguments: dict[str, Any]
    orders: tuple[dict[str, Any], ...]


def _ticket(symbol: str, side: str, order_type: str, **more: Any) -> dict[str, Any]:
    return {
        "acctId": PAPER,
        "conid": f"{{{symbol}}}",
        "orderType": order_type,
        "side": side,
        "tif": "DAY",
        **more,
    }


EXAMPLES = (
    Example(
        "limit",
        {"symbol": "AAPL", "side": "BUY", "quantity": 3, "limit": 251.25},
        (_ticket("AAPL", "BUY", "LMT", quantity=3, price=251.25),),
    ),
    Example(
        "bracket",
        {
            "symbol": "IBM",
            "side": "BUY",
            "quantity": 10,
            "limit": 240,
            "take_profit": 362,
            "stop_loss": 231.5,
            "tif": "GTC",
        },
        (
            _ticket("IBM", "BUY", "LMT", quantity=10, price=240, tif="GTC", cOID=PARENT),
            _ticket("IBM", "SELL", "LMT", quantity=10, price=362, tif="GTC", parentId=PARENT),
            _ticket("IBM", "SELL", "STP", quantity=10, price=231.5, tif="GTC", parentId=PARENT),
        ),
    ),
    Example(
        "one cancels all",
        {
            "symbol": "AAPL",
            "side": "SELL",
            "quantity": 5,
            "limit": 320,
            "tif": "GTC",
            "oca": [{"type": "stop", "stop": 220}],
        },
        (
            _ticket("AAPL", "SELL", "LMT", quantity=5, price=320, tif="GTC", isSingleGroup=True),
            _ticket("AAPL", "SELL", "STP", quantity=5, price=220, tif="GTC", isSingleGroup=True),
        ),
    ),
    Example(
        "trailing stop",
        {"symbol": "AAPL", "side": "SELL", "quantity": 5, "type": "trailing", "trail": "5%", "tif": "GTC"},
        (_ticket("AAPL", "SELL", "TRAIL", quantity=5, trailingAmt=5, trailingType="%", tif="GTC"),),
    ),
    Example(
        "amount of money",
        {"symbol": "AAPL", "side": "BUY", "cash": 600, "limit": 250},
        (_ticket("AAPL", "BUY", "LMT", cashQty=600, price=250),),
    ),
    Example(
        "currency conversion",
        {"symbol": "EUR.USD", "side": "BUY", "cash": 1000, "type": "market", "convert": True},
        (_ticket("EUR.USD", "BUY", "MKT", fxQty=1000, isCcyConv=True),),
    ),
    Example(
        "future",
        {"symbol": "ES 202612", "side": "BUY", "quantity": 1, "limit": 6500},
        (_ticket("ES 202612", "BUY", "LMT", quantity=1, price=6500, manualIndicator=False, extOperator="ib-mcp"),),
    ),
    Example(
        "option",
        {"symbol": CALL, "side": "BUY", "quantity": 1, "limit": 1.05},
        (_ticket(CALL, "BUY", "LMT", quantity=1, price=1.05),),
    ),
    Example(
        "spread",
        {"legs": [f"1 {CALL}", f"-1 {HIGHER_CALL}"], "side": "BUY", "quantity": 1, "limit": 0.5},
        (
            {
                "acctId": PAPER,
                "conidex": f"28812380;;;{{{CALL}}}/1,{{{HIGHER_CALL}}}/-1",
                "orderType": "LMT",
                "side": "BUY",
                "tif": "DAY",
                "quantity": 1,
                "price": 0.5,
            },
        ),
    ),
    Example(
        "algo",
        {
            "symbol": "AAPL",
            "side": "BUY",
            "quantity": 3,
            "limit": 250,
            "algo": "adaptive",
            "algo_parameters": {"adaptivePriority": "Patient"},
        },
        (
            _ticket(
                "AAPL",
                "BUY",
                "LMT",
                quantity=3,
                price=250,
                strategy="Adaptive",
                strategyParameters={"adaptivePriority": "Patient"},
            ),
        ),
    ),
)
