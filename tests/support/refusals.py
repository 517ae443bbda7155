"""Orders that the owner's policy refuses: one for each mode and limit, in IBKR's words and in those of the tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ib_keepalive.trading.stop import KillSwitch
from support.simulator import AAPL

# Of 18 December 2026 at 280.
CALL = 600743536
_TICKET = {"conid": AAPL, "orderType": "LMT", "side": "BUY", "quantity": 5, "price": 280.0, "tif": "DAY"}
_WORDS = {"symbol": "AAPL", "type": "limit", "side": "BUY", "quantity": 5, "limit": 280.0, "tif": "DAY"}
_EXIT = {"orderType": "LMT", "side": "SELL", "quantity": 5, "price": 300.0, "tif": "DAY", "conid": AAPL}


@dataclass(frozen=True)
class Refused:
    """``said``: what every refusal has to say. ``ticket`` and ``words`` are changes of an order of five AAPL.

    ``exits``: the order is the first of a bracket, which the tools are told by ``words``.
    """

    policy: str
    said: tuple[str, ...]
    ticket: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    exits: bool = False
    signed_in: Literal["paper", "live"] = "paper"
    is_stopped: bool = False

    @property
    def orders(self) -> list[dict[str, Any]]:
        """As IBKR's place call has them."""
        first = _without_none({**_TICKET, **self.ticket})
        if not self.exits:
            return [first]
        return [{**first, "cOID": "parent"}, {**_EXIT, "parentId": "parent"}]

    @property
    def arguments(self) -> dict[str, Any]:
        """As preview_order takes them."""
        return _without_none({**_WORDS, **self.words})

    def prepare(self, folder: Path) -> None:
        """Make it the owner's word in ``folder``."""
        (folder / "policy.toml").write_text(self.policy)
        switch = KillSwitch(folder)
        if self.is_stopped:
            switch.stop("owner", "a holiday")
        else:
            switch.start()


def _without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _limits(text: str, mode: str = "paper") -> str:
    switches = [f"{name} = true" for name in ("short_selling", "naked_options") if name not in text]
    return f'mode = "{mode}"\napproval = "none"\n[limits]\n' + "\n".join([*switches, text]) + "\n"


_MARKET = {"orderType": "MKT", "price": None}
_MARKET_WORDS = {"type": "market", "limit": None}

REFUSED = {
    "off": Refused('mode = "off"\n', ("Trading is off",)),
    "no policy": Refused("", ("Trading is off",)),
    "a broken policy": Refused('mode = "paper"\nmodes = 1\n', ("line 2, modes",)),
    "preview": Refused('mode = "preview"\n', ("mode is preview",)),
    "stopped": Refused(_limits(""), ("stopped by owner", "a holiday"), is_stopped=True),
    "paper in a live account": Refused(_limits(""), ("is not a paper account",), signed_in="live"),
    "live in an account that is not named": Refused(
        'mode = "live"\napproval = "none"\n[live]\naccounts = ["U1111111"]\nwithout_approval = true\n',
        ("live.accounts", "is not among the accounts that may trade live"),
        signed_in="live",
    ),
    "accounts": Refused(_limits('accounts = ["DU1111111"]'), ("accounts", "DU1111111", "DU7420001")),
    "symbols": Refused(_limits('symbols = ["MSFT", "SPY"]'), ("symbols", "MSFT, SPY", "AAPL")),
    "security_types": Refused(_limits('security_types = ["FUT"]'), ("security_types", "FUT", "STK")),
    "order_types": Refused(_limits('order_types = ["MKT"]'), ("order_types", "MKT", "LMT")),
    "times_in_force": Refused(_limits('times_in_force = ["GTC"]'), ("times_in_force", "GTC", "DAY")),
    "sides": Refused(_limits('sides = ["SELL"]'), ("sides", "SELL", "BUY")),
    "quantity": Refused(_limits("quantity = 3"), ("quantity", "permits 3", "order's is 5")),
    "notional": Refused(_limits("notional = 1000"), ("notional", "1,000 USD", "1,400 USD")),
    "notional of a market order": Refused(
        _limits("notional = 1000"), ("notional", "1,000 USD"), _MARKET, _MARKET_WORDS
    ),
    "notional_per_day": Refused(_limits("notional_per_day = 1399"), ("notional_per_day", "1,399 USD", "1,400 USD")),
    "orders_per_minute": Refused(
        _limits("orders_per_minute = 1"), ("orders_per_minute", "permits 1", "be 2"), {}, {"take_profit": 300}, True
    ),
    "orders_per_day": Refused(
        _limits("orders_per_day = 1"), ("orders_per_day", "permits 1", "be 2"), {}, {"take_profit": 300}, True
    ),
    "price_distance_percent": Refused(
        _limits("price_distance_percent = 5"),
        ("price_distance_percent", "permits 5 %"),
        {"price": 200.0},
        {"limit": 200.0},
    ),
    "price_age_s": Refused(
        _limits("notional = 1000000\nprice_age_s = 0.0001"),
        ("notional", "s old"),
        _MARKET,
        _MARKET_WORDS,
    ),
    "short_selling": Refused(
        _limits("short_selling = false"),
        ("short_selling", "not permitted", "2,000 AAPL"),
        {**_MARKET, "side": "SELL", "quantity": 2_000},
        {**_MARKET_WORDS, "side": "SELL", "quantity": 2_000},
    ),
    "naked_options": Refused(
        _limits("naked_options = false"),
        ("naked_options", "not permitted", "without cover"),
        {"conid": CALL, "side": "SELL", "quantity": 100, "price": 12.0},
        {"symbol": "AAPL 20261218 C 280", "side": "SELL", "quantity": 100, "limit": 12.0},
    ),
}
