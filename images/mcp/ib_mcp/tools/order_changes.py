"""Changing, cancelling and stopping orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from ib_mcp.auth import granted
from ib_mcp.context import ToolContext
from ib_mcp.formats.numbers import decimal
from ib_mcp.formats.text import untrusted
from ib_mcp.tools.arguments import Account, Text
from ib_mcp.tools.base import Answer, order_tool
from ib_mcp.tools.modes import mode_of
from ib_mcp.tools.order_facts import order_in, seen_of, standing_order
from ib_mcp.tools.preview_order import ticketed
from ib_mcp.trading import modification, preview
from ib_mcp.trading.contract_rules import problems
from ib_mcp.trading.modification import Change
from ib_mcp.trading.wording import Amount, Price, TifWord, TrailWord
from ibkr.errors import InvalidRequest, OperationForbidden

OrderId = Annotated[Text, Field(pattern=r"^\d{1,20}$")]
_ALL = "-1"


@order_tool("preview")
async def modify_order(
    context: ToolContext,
    order_id: OrderId,
    quantity: Annotated[Amount | None, Field(description="the whole, filled ones too")] = None,
    limit: Price | None = None,
    stop: Price | None = None,
    trail: TrailWord | None = None,
    tif: TifWord | None = None,
    outside_hours: bool | None = None,
    account: Account = None,
) -> Answer:
    """Preview a change of a working order; its ticket goes to submit_order. What is left out stays. Sends nothing."""
    chosen = await context.accounts.resolve(account)
    status = await standing_order(context, chosen, order_id)
    sent = modification.sent_ticket(await context.desk.orders(chosen), order_id)
    before = sent or modification.told_ticket(status, chosen, order_id)
    was = await order_in(context, before)
    change = Change(quantity, limit, stop, trail, tif, outside_hours)
    becomes = modification.changed(was, change, decimal(status.get("cum_fill")) or Decimal(0))
    rules = await context.rules.of(becomes, order_id)
    if wrong := problems(becomes, rules, chosen):
        raise InvalidRequest(" ".join(wrong), action="Correct it and preview again; nothing was sent.")
    seen = await seen_of(context, chosen, becomes, rules)
    unit = preview.unit_of(becomes, rules)
    answer = preview.told_change(order_id, was, becomes, seen, unit)
    ticket = modification.changed_ticket(before, was, becomes, chosen, context.settings.order_operator)
    return await ticketed(context, chosen, [ticket], answer, order_id)


@order_tool("trade")
async def cancel_order(
    context: ToolContext,
    order_id: Annotated[OrderId | None, Field(description="or all")] = None,
    all: Annotated[bool, Field(description="every working order of the account")] = False,
    account: Account = None,
) -> Answer:
    """Cancel one order, or all of an account. It may still be filled until its status is Cancelled."""
    if (order_id is None) != all:
        raise InvalidRequest("Give either order_id or all.", action="Take an order_id from get_account_orders.")
    chosen = await context.accounts.resolve(account)
    path = {"accountId": chosen, "orderId": order_id or _ALL}
    # Futures exchanges want to know it of cancellations too; which order is of a future is not asked for first.
    query = {"manualIndicator": False, "extOperator": context.settings.order_operator}
    body = (await context.guard.call("cancel_order", path=path, query=query)).object
    mode = await mode_of(context, chosen)
    shown: Answer = {"mode": mode, "account": chosen}
    if said := untrusted(body.get("error"), 300):
        return shown | {
            "outcome": "not_cancelled",
            "message": f"IBKR: {said}",
            "next": "get_account_orders tells what works.",
        }
    what = {"cancelling": "all"} if all else {"cancelling": order_id}
    follow = "get_account_orders" if all else "get_order_status"
    return (
        shown
        | what
        | {
            "outcome": "cancel_requested",
            "next": f"IBKR took the request; it may still fill. {follow} says Cancelled when it is done.",
        }
    )


@order_tool("trade")
async def stop_trading(
    context: ToolContext,
    reason: Annotated[str, Field(min_length=1, max_length=200)],
    cancel_orders: Annotated[bool, Field(description="cancel all working orders too")] = False,
) -> Answer:
    """Stop all order placing at once, for every agent. Only the owner can start it again."""
    grant = granted.current.get()
    if cancel_orders and grant is not None and grant.accounts is not None:
        raise OperationForbidden(
            "The token of this agent is limited to some accounts, and this would cancel the orders of all.",
            action="Stop without cancel_orders, then call cancel_order with all for an account.",
        )
    found = await context.desk.stop(reason, cancel_orders=cancel_orders)
    stopped = found.get("stopped", True)
    follow = (
        "Only the owner can start it: ib-mcp trading start." if stopped else "Not all stopped: tell the owner at once."
    )
    return {"stopped": stopped, "next": follow} | {
        name: found[name] for name in ("cancelled", "message", "gateway", "gateways") if name in found
    }
