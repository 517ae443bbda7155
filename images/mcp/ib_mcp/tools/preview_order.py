"""Previewing an order: what it is, what it would do, what the owner's limits say, and the ticket that sends it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.tools.arguments import Account, Names, Symbol
from ib_mcp.tools.base import Answer, order_tool
from ib_mcp.tools.modes import mode_of
from ib_mcp.tools.order_facts import algo_of, seen_of
from ib_mcp.trading import in_words, preview, wording
from ib_mcp.trading.contract_rules import problems
from ib_mcp.trading.order import Leg, Order
from ib_mcp.trading.tickets import Group, Ticket, bracket, tickets_of
from ib_mcp.trading.wording import Amount, OrderWords, Price, SideWord, TifWord, TrailWord, TypeWord
from ibkr.errors import InvalidRequest


@order_tool("preview")
async def preview_order(
    context: ToolContext,
    side: SideWord,
    symbol: Symbol | None = None,
    quantity: Amount | None = None,
    cash: Annotated[Amount | None, Field(description="money instead of quantity")] = None,
    type: TypeWord = "limit",
    limit: Price | None = None,
    stop: Annotated[Price | None, Field(description="what triggers it")] = None,
    trail: Annotated[TrailWord | None, Field(description="distance 1.5 or 2%; offset of relative")] = None,
    tif: TifWord = "DAY",
    outside_hours: bool = False,
    take_profit: Annotated[Price | None, Field(description="closes at this limit")] = None,
    stop_loss: Annotated[Price | None, Field(description="closes at this stop")] = None,
    oca: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=9, description="more orders, of which one cancels all: {type, limit, stop...}"),
    ] = None,
    legs: Annotated[Names | None, Field(description="of a combination: 1 AAPL 20261218 C 280, -1 ...")] = None,
    algo: str | None = None,
    algo_parameters: dict[str, Any] | None = None,
    convert: Annotated[bool, Field(description="currency conversion")] = False,
    account: Account = None,
) -> Answer:
    """What an order would cost and do, what the limits say, and the ticket for submit_order. Sends nothing."""
    words = OrderWords(
        symbol=symbol, side=side, quantity=quantity, cash=cash, type=type, limit=limit, stop=stop, trail=trail,
        tif=tif, outside_hours=outside_hours,
    )  # fmt: skip
    chosen = await context.accounts.resolve(account)
    has_bracket = take_profit is not None or stop_loss is not None
    if oca and (has_bracket or legs):
        raise InvalidRequest("oca goes neither with take_profit and stop_loss nor with legs.")
    extra: dict[str, Any] = {"algo": algo, "algo_parameters": algo_parameters, "convert": convert}
    group: Group = "single"
    if legs:
        orders = [await _combination(context, words, legs, extra)]
    else:
        together = wording.group_of(words, [_cleaned(one) for one in oca]) if oca else [words]
        orders = await _orders(context, together, extra)
        group = "oca" if oca else "single"
    if has_bracket:
        orders, group = bracket(orders[0], take_profit, stop_loss), "bracket"
    if orders[0].algo is not None:
        checked = await algo_of(context, orders[0].contract, orders[0].algo)
        orders[0] = replace(orders[0], algo=checked)
    return await previewed(context, chosen, orders, group)


async def previewed(context: ToolContext, account: str, orders: Sequence[Order], group: Group) -> Answer:
    """The preview of new orders, with its ticket."""
    rules = [await context.rules.of(order) for order in orders]
    wrong = [
        f"{role}{said}"
        for role, order, each in zip(in_words.roles(orders, group), orders, rules, strict=True)
        for said in problems(order, each, account)
    ]
    if wrong:
        raise InvalidRequest(" ".join(dict.fromkeys(wrong)), action="Correct it and preview again; nothing was sent.")
    parent_id = f"ibmcp-{secrets.token_urlsafe(9)}"
    tickets = tickets_of(orders, group, account, context.settings.order_operator, parent_id)
    seen = await seen_of(context, account, orders[0], rules[0], tickets)
    answer = preview.told(orders, group, seen)
    if seen.what_if is not None and seen.what_if.refusal:
        follow = f"IBKR would refuse it: {seen.what_if.refusal} Nothing was sent."
        return {"mode": await mode_of(context, account), **answer, "ticket": None, "next": follow}
    return await ticketed(context, account, tickets, answer)


async def ticketed(
    context: ToolContext, account: str, tickets: Sequence[Ticket], answer: Answer, order_id: str | None = None
) -> Answer:
    """``answer`` with the ticket for what was previewed, or why there is none."""
    return preview.sealed(answer, await context.desk.ticket(account, tickets, preview.summary(answer), order_id))


async def _orders(context: ToolContext, words: Sequence[OrderWords], extra: dict[str, Any]) -> list[Order]:
    missing = [place for place, one in enumerate(words) if one.symbol is None]
    if missing:
        raise InvalidRequest("Name the instrument.", action="Give symbol, or legs of a combination.")
    contracts = await context.contracts.resolve_all([str(one.symbol) for one in words])
    first, *others = zip(words, contracts, strict=True)
    return [wording.read(*first, **extra), *(wording.read(*other) for other in others)]


async def _combination(context: ToolContext, words: OrderWords, texts: Sequence[str], extra: dict[str, Any]) -> Order:
    if words.symbol is not None:
        raise InvalidRequest("A combination is named by its legs.", action="Leave symbol out.")
    read = wording.leg_words(texts)
    contracts = await context.contracts.resolve_all([symbol for _, symbol in read])
    legs = [Leg(contract, ratio) for contract, (ratio, _) in zip(contracts, read, strict=True)]
    return wording.read(words, legs[0].contract, legs=legs, **extra)


def _cleaned(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
