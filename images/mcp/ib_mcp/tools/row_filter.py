"""Which orders or trades a question about an instrument means: it is looked for among them, and IBKR is not asked."""

from __future__ import annotations

from typing import Any

from ib_mcp.formats.tables import pick
from ib_mcp.market import matching
from ib_mcp.market.notation import parse
from ib_mcp.portfolio import order
from ib_mcp.tools.base import Answer
from ib_mcp.tools.row_contracts import Described, symbol_of


def about(symbol: str, rows: list[dict[str, Any]], known: Described) -> list[dict[str, Any]]:
    """Rows on what ``symbol`` names, combos with such a leg included. InvalidRequest when it names nothing."""
    parse(symbol)
    return [row for row in rows if _is_about(symbol, row, known)]


def _is_about(symbol: str, row: dict[str, Any], known: Described) -> bool:
    legs = [known.contracts[conid] for conid, _ in order.legs(row) if conid in known.contracts]
    contract = known.of(row)
    if any(matching.fits(symbol, one) for one in (*legs, *([contract] if contract else ()))):
        return True
    # Its name in answers leads back too where IBKR describes the contract no more.
    names = (pick(row, "symbol", "ticker"), row.get("conid"), symbol_of(row, known))
    return any(str(name).casefold() == symbol.strip().casefold() for name in names if name)


def none_about(symbol: str, what: str) -> Answer:
    """For an answer without rows."""
    return {"note": f"There are no {what} on {symbol.strip()[:40]!r} here."}
