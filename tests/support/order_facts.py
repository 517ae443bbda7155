"""A small market with instruments of every kind, for tests of what limits say of orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ib_keepalive.trading.facts import Facts, Instrument, PendingOrder, Price, Usage
from ib_keepalive.trading.intent import OrderIntent, read_modify, read_place
from ib_keepalive.trading.limits import LimitResult, check
from ib_keepalive.trading.policy import Policy, parse

ACCOUNT = "DU0000001"
AAPL, MSFT, CALL, LATER_CALL, HIGH_CALL, PUT, ES, EUR, VOD, BOND = range(101, 111)


def _option(conid: int, right: str, strike: int, maturity: str = "20270115") -> Instrument:
    return Instrument(
        conid, "AAPL", "OPT", "USD", "", Decimal(100), Decimal(1), right, Decimal(strike), maturity, underlying=AAPL
    )


INSTRUMENTS = {
    each.conid: each
    for each in (
        Instrument(AAPL, "AAPL", "STK", "USD", "NASDAQ"),
        Instrument(MSFT, "MSFT", "STK", "USD", "NASDAQ"),
        _option(CALL, "C", 200),
        _option(LATER_CALL, "C", 200, "20270219"),
        _option(HIGH_CALL, "C", 250),
        _option(PUT, "P", 200),
        Instrument(ES, "ES", "FUT", "USD", "CME", Decimal(50), maturity="20261218", underlying=999),
        Instrument(EUR, "EUR", "CASH", "USD", "IDEALPRO"),
        Instrument(VOD, "VOD", "STK", "GBP", "LSE", divisor=Decimal(100)),
        Instrument(BOND, "T", "BOND", "USD", "SMART"),
    )
}
QUOTES = {
    AAPL: (199.9, 200.1),
    MSFT: (400, 400.2),
    CALL: (10, 10.2),
    LATER_CALL: (12, 12.2),
    HIGH_CALL: (2, 2.1),
    PUT: (8, 8.2),
    ES: (6000, 6000.25),
    EUR: (1.1, 1.1001),
    VOD: (80, 80.1),
    BOND: (98, 99),
}
PRICES = {
    conid: Price(1.0, Decimal(repr(bid)), Decimal(repr(ask)), Decimal(repr(bid)))
    for conid, (bid, ask) in QUOTES.items()
}
RATES = {"EUR": Decimal("1.1"), "GBP": Decimal("1.25")}


def facts(**more: Any) -> Facts:
    """A paper account in dollars that holds nothing and has no working order."""
    given: dict[str, Any] = {
        "is_paper": True,
        "accounts": frozenset({ACCOUNT, "U1234567"}),
        "base": "USD",
        "instruments": INSTRUMENTS,
        "prices": PRICES,
        "rates": RATES,
        "positions": {},
        "pending": (),
    }
    return Facts(**(given | more))


def ticket(conid: int = AAPL, side: str = "BUY", quantity: float | None = 1, **more: Any) -> dict[str, Any]:
    """A limit order for the day at 200."""
    amount = {} if quantity is None else {"quantity": quantity}
    given = {"conid": conid, "orderType": "LMT", "price": 200, "side": side, "tif": "DAY", **amount, **more}
    return {name: value for name, value in given.items() if value is not None}


def market(conid: int = AAPL, side: str = "BUY", quantity: float | None = 1, **more: Any) -> dict[str, Any]:
    return ticket(conid, side, quantity, orderType="MKT", price=None, **more)


def combination(*legs: tuple[int, int], side: str = "BUY", quantity: float = 1, price: float = 1) -> dict[str, Any]:
    """``legs``: conid and ratio."""
    text = ",".join(f"{conid}/{ratio}" for conid, ratio in legs)
    return ticket(0, side, quantity, price=price, conidex=f"28812380;;;{text}") | {"conid": None}


def place(*tickets: dict[str, Any], account: str = ACCOUNT) -> OrderIntent:
    return read_place(account, list(tickets))


def modify(ticket: dict[str, Any], order_id: str = "7", account: str = ACCOUNT) -> OrderIntent:
    return read_modify(account, order_id, ticket)


def working(conid: int, side: str, units: float, order_id: str = "7", **more: Any) -> PendingOrder:
    amount = Decimal(repr(units))
    return PendingOrder(conid, side, more.pop("remaining", amount), amount, order_id, more.pop("kind", "LMT"), **more)


def policy(limits: str = "", mode: str = "paper", more: str = "") -> Policy:
    """A policy with these lines under ``[limits]``; what is not written is permitted."""
    read = parse(f'mode = "{mode}"\n{more}\n[limits]\n{limits}\n'.encode())
    assert read.problem is None, read.problem
    return read


ANY = "short_selling = true\nnaked_options = true\n"


def refused(
    order: OrderIntent, limits: str, known: Facts | None = None, usage: Usage | None = None
) -> dict[str, LimitResult]:
    """The limits that refuse the order, by name, where short sales and written options are permitted otherwise."""
    switches = "".join(line + "\n" for line in ANY.splitlines() if line.split()[0] not in limits)
    results = check(policy(switches + limits), order, known or facts(), usage or Usage())
    return {each.limit: each for each in results if not each.passed}
