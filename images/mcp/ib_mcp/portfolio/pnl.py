"""Profit and loss of today: sums of the rows that IBKR tells for an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ib_mcp.formats.numbers import decimal, plain

# IBKR's key and our name. Its net liquidity and excess liquidity are left out: rounded to four digits, they would stand
# beside the exact ones of the summary.
_AMOUNTS = {"daily": "dpl", "unrealized": "upl"}
_ASK_AGAIN = (
    "IBKR has told none in this session yet; ask again in a few seconds. If it stays so, IBKR sends it to TWS and the "
    "phone only."
)


def parse(rows: dict[str, Any], account: str, currency: str | None) -> dict[str, Any]:
    """``pnl`` of ``account``, or ``pnl_missing`` with the reason. ``rows`` by ``<account>.<model>``, as IBKR has them.

    IBKR rounds its amounts, to four digits in all captures; the daily amount is in the base currency.
    """
    own = {name.partition(".")[2] or name: row for name, row in rows.items() if name.partition(".")[0] == account}
    own = {name: row for name, row in own.items() if isinstance(row, dict)}
    if not own:
        told = sorted({name.partition(".")[0] for name in rows})
        return {"pnl_missing": _of_others(told, account) if told else _ASK_AGAIN}
    found: dict[str, Any] = {"currency": currency, "rounded": "by IBKR, to about 4 digits"}
    found |= {name: plain(_sum(own, key)) for name, key in _AMOUNTS.items()}
    if len(own) > 1:
        found["by_model"] = {
            name: {ours: plain(decimal(row.get(key))) for ours, key in _AMOUNTS.items()} for name, row in own.items()
        }
    return {"pnl": found}


def _of_others(told: list[str], account: str) -> str:
    return (
        f"IBKR tells it for {', '.join(told[:5])} only, the account selected in its session, not for {account}. Asking "
        "again does not help; the daily_pnl of get_account_positions with quotes can be added up instead."
    )


def _sum(rows: dict[str, Any], key: str) -> Decimal | None:
    known = [amount for row in rows.values() if (amount := decimal(row.get(key))) is not None]
    return sum(known, Decimal(0)) if known else None
