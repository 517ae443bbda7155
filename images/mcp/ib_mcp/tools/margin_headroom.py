"""How much margin is left after a move of the market."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import cents, decimal, plain
from ib_mcp.portfolio import ledger, risk
from ib_mcp.portfolio.holding import Holding
from ib_mcp.portfolio.risk import Sensitivity
from ib_mcp.tools.base import Answer
from ib_mcp.tools.position_data import all_positions, figure_of, snapshot
from ibkr.fields import BY_NAME

_BETA, _DELTA, _LAST = (BY_NAME[name] for name in ("beta", "delta", "last"))
_METHOD = (
    "An estimate: each position by IBKR's beta, options by delta too; margin requirements are taken as they are now, "
    "though they rise when markets fall."
)
_MOST_NAMED = 12


async def headroom(context: ToolContext, account: str, figures: dict[str, Any], percent: float) -> Answer:
    """Net liquidation and excess liquidity after the market moved by ``percent``; what is left out is named.

    ``figures``: those of the account's summary, in its base currency.
    """
    money = ledger.parse((await context.guard.call("get_ledger", path={"accountId": account})).object)
    found = await all_positions(context, account, money, await context.accounts.currency(account))
    known = await _sensitivities(context, found.holdings)
    moved = risk.after_move(found.holdings, known, Decimal(repr(percent)))
    worth, excess = (decimal(figures.get(name)) for name in ("net_liquidation", "excess_liquidity"))
    return {
        "market_percent": percent,
        "change": plain(cents(moved.change)),
        "net_liquidation": plain(cents(worth + moved.change)) if worth is not None else None,
        "excess_liquidity": plain(cents(excess + moved.change)) if excess is not None else None,
        **_gone_at(excess, moved.change, percent),
        "counted": moved.counted,
        **_left_out(moved.left_out),
        "method": _METHOD,
    }


async def _sensitivities(context: ToolContext, holdings: Sequence[Holding]) -> dict[int, Sensitivity]:
    """By conid. Each is asked only what it can have: IBKR lets one wait for a figure that never comes."""
    options = [one.conid for one in holdings if one.right]
    with_beta = [one.conid for one in holdings if one.kind in risk.WITH_BETA]
    underlyings = [one.underlying for one in holdings if one.underlying]
    betas = await snapshot(context, [*with_beta, *underlyings], (_BETA, _LAST))
    deltas = await snapshot(context, options, (_DELTA,))
    return {
        conid: Sensitivity(
            figure_of(betas.get(conid), _BETA), figure_of(deltas.get(conid), _DELTA), figure_of(betas.get(conid), _LAST)
        )
        for conid in betas.keys() | deltas.keys()
    }


def _gone_at(excess: Decimal | None, change: Decimal, percent: float) -> Answer:
    """At which move of the market nothing of the excess would be left, where that can be said."""
    if not excess or not change or not percent:
        return {}
    return {"excess_liquidity_gone_at_percent": plain(round(-excess / (change / Decimal(repr(percent))), 1))}


def _left_out(holdings: Sequence[Holding]) -> Answer:
    if not holdings:
        return {}
    worth = sum((one.worth or Decimal(0) for one in holdings), Decimal(0))
    names = [f"{one.symbol} ({one.kind})" for one in holdings[:_MOST_NAMED]]
    more = [f"{len(holdings) - _MOST_NAMED} more"] if len(holdings) > _MOST_NAMED else []
    return {"left_out": [*names, *more], "left_out_value": plain(cents(worth))}
