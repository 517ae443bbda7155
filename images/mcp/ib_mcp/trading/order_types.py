"""The types of order: their words, IBKR's codes, and which prices belong to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TypeName = Literal[
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing",
    "trailing_limit",
    "mit",
    "lit",
    "market_on_close",
    "limit_on_close",
    "midprice",
    "relative",
]
Tif = Literal["DAY", "GTC", "IOC", "OPG", "OVT", "OND", "PAX"]
Side = Literal["BUY", "SELL"]


@dataclass(frozen=True, slots=True)
class OrderType:
    """``code`` is IBKR's in tickets, ``rule`` its name among a contract's rules.

    ``needs`` and ``may`` name the prices: ``limit``, ``stop`` (what triggers it) and ``trail`` (a distance).
    """

    name: TypeName
    code: str
    rule: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return _WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def is_unprotected(self) -> bool:
        """Whether nothing bounds the price once it works."""
        return "limit" not in self.needs and self.name not in ("midprice", "relative")


_WORDS = {"mit": "market if touched", "lit": "limit if touched"}

TYPES: dict[str, OrderType] = {
    each.name: each
    for each in (
        OrderType("market", "MKT", "market"),
        OrderType("limit", "LMT", "limit", ("limit",)),
        OrderType("stop", "STP", "stop", ("stop",)),
        OrderType("stop_limit", "STOP_LIMIT", "stop_limit", ("stop", "limit")),
        OrderType("trailing", "TRAIL", "trailing_stop", ("trail",), ("stop",)),
        OrderType("trailing_limit", "TRAILLMT", "trailing_stop_limit", ("trail", "stop", "limit")),
        OrderType("mit", "MIT", "mit", ("stop",)),
        OrderType("lit", "LIT", "lit", ("stop", "limit")),
        OrderType("market_on_close", "MOC", "marketonclose"),
        OrderType("limit_on_close", "LOC", "limitonclose", ("limit",)),
        OrderType("midprice", "MIDPRICE", "midprice", (), ("limit",)),
        OrderType("relative", "REL", "relative", ("trail",), ("limit",)),
    )
}
BY_RULE = {each.rule: each for each in TYPES.values()}
BY_CODE = {each.code: each for each in TYPES.values()}
