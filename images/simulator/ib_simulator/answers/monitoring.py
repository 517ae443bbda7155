"""Reading orders and trades back: the first list of a brokerage session is empty."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ib_simulator.answers.accounts import selected
from ib_simulator.answers.refusals import as_number, bad_request, needs_accounts, unavailable
from ib_simulator.answers.tickets import describe
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.orders import ORDER_TYPES, SPREAD_CONID, Order
from ib_simulator.world.trades import Trade

MOST_LISTED = 1000

_FILTERS = {
    "inactive": "Inactive",
    "pending_submit": "PendingSubmit",
    "pre_submitted": "PreSubmitted",
    "submitted": "Submitted",
    "filled": "Filled",
    "pending_cancel": "PendingCancel",
    "pre_cancelled": "PreCancelled",
    "cancelled": "Cancelled",
    "warn_state": "WarnState",
}

_VERBS = {"B": "Bot", "S": "Sold", "X": "Expired"}
_COLOURS = {"Filled": "#FFFFFF", "Cancelled": "#FFFFFF", "Inactive": "#AA0000"}


def list_live_orders(world: World, call: Call) -> Answer:
    needs_accounts(call)
    filters = [name.strip().lower() for name in call.query.get("filters", "").split(",") if name.strip()]
    wanted = {_FILTERS.get(name.replace("presubmitted", "pre_submitted")) for name in filters} - {None}
    if filters and not wanted and filters != ["sort_by_time"]:
        raise bad_request("invalid filters")
    if not call.memory.seen["list_live_orders"] or call.query.get("force", "").lower() == "true":
        return Answer({"orders": [], "snapshot": False})
    orders = world.orders.listed(call.now)
    if wanted:
        orders = [order for order in orders if order.status in wanted]
    account = call.query.get("accountId")
    if account:
        orders = [order for order in orders if (order.group or order.account) == account]
    if "sort_by_time" in filters:
        orders.sort(key=lambda order: order.changed_at)
        return Answer({"orders": [_row(world, order) for order in orders[-MOST_LISTED:][::-1]], "snapshot": True})
    return Answer({"orders": [_row(world, order) for order in orders[-MOST_LISTED:]], "snapshot": True})


def _row(world: World, order: Order) -> dict[str, Any]:
    if order.row is None or not order.is_final or order.row["status"] != order.status:
        order.row = _new_row(world, order)
    return order.row


def _new_row(world: World, order: Order) -> dict[str, Any]:
    contract, ticket = order.contract, order.ticket
    account = world.account(order.account)
    assert account is not None
    verb = {"Filled": "Bought" if order.side == "BUY" else "Sold"}.get(order.status)
    return {
        "acct": order.group or order.account,
        "account": order.group or account.alias or order.account,
        "conidex": order.conidex,
        "conid": SPREAD_CONID if order.legs else contract.conid,
        "orderId": order.id,
        "cashCcy": contract.currency,
        "orderDesc": describe(contract, ticket, verb=verb),
        "description1": contract.symbol,
        "description2": contract.description if contract.is_derivative else None,
        "ticker": contract.symbol,
        "secType": "BAG" if order.legs else contract.kind,
        "listingExchange": contract.exchange,
        **_sizes(order),
        "companyName": contract.name,
        "status": order.status,
        "order_ccp_status": order.status if order.is_final else "Pending Submit",
        "avgPrice": f"{order.average:.{contract.quoted_decimals}f}" if order.average else "",
        "origOrderType": order.type,
        "supportsTaxOpt": "1" if contract.kind == "STK" else "0",
        "lastExecutionTime": f"{datetime.fromtimestamp(order.changed_at, UTC):%y%m%d%H%M%S}",
        "lastExecutionTime_r": int(order.changed_at * 1000),
        "orderType": ORDER_TYPES[order.type],
        "bgColor": _COLOURS.get(order.status, "#0000CC"),
        "fgColor": "#000000" if order.is_final else "#FFFFFF",
        "isEventTrading": "1" if contract.exchange == "FORECASTX" else "0",
        **_prices(order),
        "timeInForce": "CLOSE" if order.status == "Filled" and ticket.get("tif") == "DAY" else ticket.get("tif", "DAY"),
        "side": order.side,
        **({"order_ref": order.handle} if order.handle else {}),
    }


def _sizes(order: Order) -> dict[str, Any]:
    """Of an order for money what is filled is counted in money; the total in units is known for forex alone."""
    if not order.cash:
        done = f"{order.quantity:g}" if order.status == "Filled" else f"{order.filled:g}/{order.quantity:g}"
        return {
            "sizeAndFills": done,
            "remainingQuantity": order.quantity - order.filled,
            "filledQuantity": order.filled,
            "totalSize": order.quantity,
        }
    spent = round(order.filled * order.average / order.contract.magnifier - 0.005, 2) if order.filled else 0.0
    in_units = {"totalSize": order.filled} if order.contract.kind == "CASH" and order.filled else {}
    return {
        "sizeAndFills": f"{spent:g}/{order.cash:g}",
        "remainingQuantity": 0.0 if order.status == "Filled" else order.cash,
        "filledQuantity": spent,
        **in_units,
        "totalCashSize": order.cash,
    }


def _prices(order: Order) -> dict[str, str]:
    """``price`` is the limit; ``auxPrice`` a stop, or the distance of a trailing order."""
    ticket, digits = order.ticket, order.contract.quoted_decimals
    limit, aux = ticket.get("price"), ticket.get("auxPrice")
    if order.type == "STP":
        limit, aux = None, limit
    elif order.type in {"TRAIL", "TRAILLMT"}:
        aux = ticket.get("trailingAmt", aux)
    return {
        "price": "" if limit is None else f"{limit:.{digits}f}",
        **({} if aux is None else {"auxPrice": f"{aux:.{digits}f}"}),
    }


def get_order_status(world: World, call: Call) -> Answer:
    number = as_number(call.path["orderId"])
    order = None if number is None else world.orders.get(number, call.now)
    if order is None or order.account != selected(world, call) or not _of_this_session(order, call):
        raise unavailable()
    contract, ticket = order.contract, order.ticket
    description = describe(contract, ticket)
    prices = _prices(order)
    return Answer(
        {
            "sub_type": None,
            "request_id": "209",
            "server_id": "0",
            "order_id": order.id,
            "conidex": order.conidex,
            "conid": SPREAD_CONID if order.legs else contract.conid,
            "symbol": contract.symbol,
            "side": order.side[0],
            "contract_description_1": contract.description,
            "listing_exchange": contract.exchange,
            "option_acct": "c",
            "company_name": contract.name,
            "size": f"{max(0.0, order.quantity - order.filled):g}",
            "total_size": f"{order.quantity:g}",
            "currency": contract.currency,
            "account": order.account,
            "order_type": order.type,
            "limit_price": prices["price"],
            **({"stop_price": prices["auxPrice"]} if "auxPrice" in prices else {}),
            "cum_fill": f"{order.filled:g}",
            "order_status": order.status,
            "order_ccp_status": "2" if order.status == "Filled" else "0",
            "order_status_description": f"Order {order.status}",
            "tif": ticket.get("tif", "DAY"),
            "fg_color": "#FFFFFF",
            "bg_color": "#000000",
            "order_not_editable": order.is_final,
            "editable_fields": "" if order.is_final else "\x1e",
            "cannot_cancel_order": order.is_final,
            "deactivate_order": False,
            "sec_type": "BAG" if order.legs else contract.kind,
            "available_chart_periods": "#R|1",
            "order_description": description,
            "order_description_with_contract": description.replace(" ", f" {contract.symbol} ", 1),
            "alert_active": 1,
            "child_order_type": "0",
            "order_clearing_account": order.account,
            "size_and_fills": f"{order.filled:g}/{order.quantity:g}",
            "exit_strategy_display_price": "",
            "exit_strategy_chart_description": description,
            "average_price": f"{order.average:.{contract.quoted_decimals}f}" if order.average else "",
            "exit_strategy_tool_availability": "1",
            "allowed_duplicate_opposite": True,
            "order_time": f"{datetime.fromtimestamp(order.placed_at, UTC):%y%m%d%H%M%S}",
            **({"order_ref": order.handle} if order.handle else {}),
        }
    )


def _of_this_session(order: Order, call: Call) -> bool:
    """Whether IBKR tells the status: not of what ended in an earlier brokerage session."""
    return not order.is_final or order.earlier or order.id in call.memory.notes.get("placed", ())


def list_trades(world: World, call: Call) -> Answer:
    days = as_number(call.query.get("days") or "1")
    if days is None or not 1 <= days <= 7:
        raise bad_request("days must be 1 to 7")
    if not call.memory.seen["list_trades"]:
        return Answer([])
    account = world.account(selected(world, call))
    assert account is not None
    return Answer([_trade(trade, account, world.user_name) for trade in world.trades(account, call.now, days)])


def _trade(trade: Trade, account: Account, user: str) -> dict[str, Any]:
    contract = trade.contract
    price = f"{contract.quoted(trade.price):.{contract.quoted_decimals}f}"
    moment = datetime.fromtimestamp(trade.at, UTC)
    return {
        "execution_id": trade.id,
        "symbol": contract.symbol,
        "supports_tax_opt": "1" if contract.kind == "STK" else "0",
        "side": trade.side,
        "order_description": f"{_VERBS[trade.side]} {trade.quantity:g} @ {price} on ISLAND",
        "trade_time": f"{moment:%Y%m%d-%H:%M:%S}",
        "trade_time_r": int(trade.at * 1000),
        "size": trade.quantity,
        "price": price,
        "submitter": user,
        "exchange": "ISLAND" if contract.kind == "STK" else contract.exchange,
        "commission": f"{trade.commission:.2f}",
        "net_amount": round(trade.amount, 2),
        "account": account.alias or trade.account,
        "accountCode": trade.account,
        "account_allocation_name": trade.account,
        "company_name": contract.name,
        "contract_description_1": contract.description,
        "sec_type": "BAG" if trade.legs else contract.kind,
        "listing_exchange": contract.exchange,
        "conid": SPREAD_CONID if trade.legs else contract.conid,
        "conidEx": trade.conidex,
        "clearing_id": "IB",
        "clearing_name": "IB",
        "liquidation_trade": "0",
        "is_event_trading": "0",
        "order_id": trade.order_id,
        **({"order_ref": trade.reference} if trade.reference else {}),
    }


ANSWERS = {
    "list_live_orders": list_live_orders,
    "get_order_status": get_order_status,
    "list_trades": list_trades,
}
