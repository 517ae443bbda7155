"""Refusals that name the instruments of which one may be meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ib_mcp.formats.numbers import plain
from ib_mcp.formats.tables import table
from ib_mcp.formats.times import iso_date
from ib_mcp.market import naming
from ib_mcp.market.contract import Contract
from ibkr.errors import InvalidRequest

_ALWAYS = ("symbol", "conid", "class", "exchange", "currency", "name")
_MOST = 12


class Choices(InvalidRequest):
    """The envelope lists ``choices``; the symbol of each leads to it in every tool."""

    def __init__(self, message: str, choices: Sequence[Contract], action: str, asked: str = "") -> None:
        super().__init__(message, action=action)
        self.choices = naming.distinct(choices[:_MOST], asked)

    def envelope(self) -> dict[str, Any]:
        body = super().envelope()
        if self.choices:
            body["error"]["choices"] = _table(self.choices)
        return body


class Ambiguous(Choices):
    """Several instruments may be meant."""

    def __init__(self, message: str, choices: Sequence[Contract], asked: str = "") -> None:
        super().__init__(message, choices, "Use the symbol of one choice, as it is written there.", asked)


class NotFound(Choices):
    """No instrument is meant; ``choices`` are near, if there are any."""

    def __init__(self, message: str, choices: Sequence[Contract], look_up: str) -> None:
        super().__init__(
            message, choices, "Perhaps one of the choices is meant: use its symbol." if choices else look_up
        )


def _table(contracts: Sequence[Contract]) -> dict[str, Any]:
    """What tells them apart: class of trading, multiplier and expiry stand there where they differ."""
    rows = [
        {
            "symbol": contract.symbol,
            "conid": contract.conid,
            "class": contract.kind,
            "exchange": contract.exchange,
            "currency": contract.currency,
            "name": contract.name,
            "expiry": iso_date(contract.expiry),
            "trading_class": contract.trading_class or None,
            "multiplier": plain(contract.multiplier),
        }
        for contract in contracts
    ]
    columns = [name for name in rows[0] if name in _ALWAYS or len({row[name] for row in rows}) > 1]
    return table(columns, ([row[name] for name in columns] for row in rows))
