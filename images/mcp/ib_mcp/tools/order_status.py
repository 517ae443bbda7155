"""Where one order stands: by IBKR, and by the guard's own record of what was sent."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import anyio
from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.bodies import objects
from ib_mcp.formats.numbers import figure
from ib_mcp.formats.tables import pick, table
from ib_mcp.formats.text import untrusted
from ib_mcp.formats.times import iso, iso_compact, iso_ms
from ib_mcp.portfolio import order as orders
from ib_mcp.tools.arguments import Account, Text
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.modes import mode_of
from ib_mcp.tools.row_contracts import conids_of, described, symbol_of
from ib_mcp.trading import outcomes
from ibkr.errors import IbError, InvalidRequest, UpstreamError

_FILLS = ("time", "quantity", "price", "commission")
# IBKR tells executions once in five seconds.
_FILLS_WITHIN_S = 6.0
_NO_FILLS = "IBKR tells executions once in 5 s; ask again then."


@read_tool("Order Monitoring")
async def get_order_status(
    context: ToolContext,
    order_id: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$", description="or own_id")],
    account: Account = None,
) -> Answer:
    """Where one order of today stands, and its fills."""
    chosen = None if account is None else await context.accounts.resolve(account)
    record: Answer = {}
    number = order_id
    if not order_id.isdecimal():
        chosen = chosen or await context.accounts.resolve(None)
        record = await _record(context, chosen, order_id)
        number = str(record.get("order_id") or "")
        if not number:
            return {"mode": await mode_of(context, chosen), "account": chosen, **record}
    body = await _status(context, number, chosen)
    found = await _told(context, number, body)
    fills = {"fills": await _fills(context, number, chosen)} if found.get("filled") else {}
    mode = {"mode": await mode_of(context, chosen or str(body.get("account") or ""))}
    return mode | record | found | fills


async def _status(context: ToolContext, order_id: str, account: str | None) -> dict[str, Any]:
    try:
        body = (await context.guard.call("get_order_status", account=account, path={"orderId": order_id})).object
    except UpstreamError as error:
        if error.status != 503:
            raise
        # IBKR's way to say that it has no such order, as for orders of other accounts and earlier sessions.
        raise _unknown(order_id) from error
    if body.get("error") or not body.get("order_status"):
        raise _unknown(order_id)
    return body


async def _told(context: ToolContext, order_id: str, body: dict[str, Any]) -> Answer:
    known = await described(context, conids_of(body))
    size, prices = orders.size(body), orders.prices(body)
    figures = {
        "quantity": size.quantity,
        "filled": size.filled,
        "cash_quantity": size.cash_quantity,
        "cash_currency": size.cash_currency,
        "filled_in": size.filled_in,
        "currency": body.get("currency"),
        "price_unit": known.unit(body),
        "limit": prices.limit,
        "stop": prices.stop,
        "trail": prices.trail,
        "average_price": figure(pick(body, "average_price")),
        "time_in_force": body.get("tif"),
        "placed": iso_compact(body.get("order_time")),
        "own_id": pick(body, "order_ref"),
        "account": body.get("account"),
    }
    if size.cash_quantity is None and size.quantity == 0:
        # IBKR tells no cash quantity here.
        figures |= {"quantity": None, "note": "The order may be for an amount of money: see get_account_orders."}
    return {
        "order_id": order_id,
        "status": body["order_status"],
        "state": orders.state(body["order_status"]),
        "symbol": symbol_of(body, known),
        "conid": figure(body.get("conid")),
        "class": pick(body, "sec_type"),
        "description": untrusted(pick(body, "order_status_description", "order_description")),
        "order": untrusted(pick(body, "order_description_with_contract", "order_description")),
        "side": orders.side(body.get("side")),
        "type": body.get("order_type"),
        **{name: value for name, value in figures.items() if value is not None},
        "can_cancel": body.get("cannot_cancel_order") is not True,
        **known.note,
    }


async def _fills(context: ToolContext, order_id: str, account: str | None) -> Answer | str:
    """Executions of the order today, or that IBKR does not tell them now."""
    found: list[dict[str, Any]] = []
    with suppress(IbError), anyio.move_on_after(_FILLS_WITHIN_S):
        found = (await context.guard.call("list_trades", account=account)).rows
    rows = [row for row in found if str(row.get("order_id")) == order_id]
    shown = (
        (
            iso_ms(row.get("trade_time_r")) or iso_compact(row.get("trade_time")),
            figure(row.get("size")),
            figure(row.get("price")),
            figure(row.get("commission")),
        )
        for row in rows
    )
    return table(_FILLS, shown) if rows else _NO_FILLS


async def _record(context: ToolContext, account: str, own_id: str) -> Answer:
    """What the guard remembers of an order that it sent under this client order id."""
    try:
        entries = await context.desk.orders(account, own_id) if context.settings.trading else []
    except IbError as error:
        raise error.advising("Take an order_id, a number, from get_account_orders.") from error
    if not entries:
        raise InvalidRequest(
            f"No order was sent as {own_id} in {account}.", action="Take an order_id from get_account_orders."
        )
    entry = entries[0]
    outcome = entry.get("outcome")
    told = outcomes.told(outcome) if isinstance(outcome, dict) else outcomes.told({"outcome": "outcome_unknown"})
    states = objects(outcome.get("orders")) if isinstance(outcome, dict) else []
    number = next((row.get("order_id") for row in states if row.get("client_order_id") == own_id), None)
    told.pop("mode")
    sent = {"own_id": own_id, "sent": iso(entry.get("sent_at"))}
    return sent | ({"order_id": number} if number else told)


def _unknown(order_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"IBKR knows no order {order_id} of the selected account in this session.",
        action="Take an order_id from get_account_orders.",
    )
