"""Placing, changing and cancelling orders, with IBKR's questions in between.

One question at a time is open in a brokerage session, and any other order call makes it void.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ib_simulator.answers.refusals import account_of, as_conid, as_number, bad_request, body_of, needs_accounts
from ib_simulator.answers.tickets import Question, check, contract_in, questions, tickets_in
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders import FINAL, Order

MAX_SUPPRESSED = 51


def place_orders(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    tickets = tickets_in(call)
    for ticket in tickets:
        rejection = check(world, account.id, ticket)
        if rejection is not None:
            return Answer({"error": rejection})
    asked = [question for ticket in tickets for question in questions(world, call, ticket)]
    return _ask_or_do(world, call, asked, {"account": account.id, "tickets": tickets})


def place_model_orders(world: World, call: Call) -> Answer:
    needs_accounts(call)
    if call.path["modelCode"] not in world.stored.models:
        raise bad_request("unknown model")
    raise Refusal(403, {"error": "Access denied", "statusCode": 403})


def modify_order(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    order = _order(world, call, call.path["orderId"])
    if order is None or order.account != account.id:
        return Answer({"error": f"OrderID {call.path['orderId']} doesn't exist"})
    if order.status in FINAL:
        return Answer({"error": f"OrderID {order.id} can't be modified: it is {order.status}"})
    ticket = {name: value for name, value in body_of(call).items() if name != "cOID"}
    rejection = check(world, account.id, ticket)
    if rejection is not None:
        return Answer({"error": rejection})
    if contract_in(world, ticket).conid != order.contract.conid:
        return Answer({"error": "The contract of an order can't be changed"})
    doing = {"account": account.id, "tickets": [ticket], "order": order.id}
    return _ask_or_do(world, call, questions(world, call, ticket), doing)


def _ask_or_do(world: World, call: Call, asked: list[Question], doing: dict[str, Any]) -> Answer:
    """The first of the questions, or the deed when there is none left."""
    if not asked:
        return Answer(_do(world, call, doing))
    number = call.memory.notes["questions_asked"] = call.memory.notes.get("questions_asked", 0) + 1
    reply_id = str(UUID(int=(world.seed & 0xFFFFFFFF) << 96 | 0x4000_8000 << 48 | number))
    call.memory.notes["question"] = {"id": reply_id, "rest": asked[1:], "doing": doing}
    message_id, text = asked[0]
    return Answer(
        [
            {
                "id": reply_id,
                "message": [text],
                "isSuppressed": False,
                "messageIds": [message_id],
                "messageOptions": ["Yes", "No"],
            }
        ]
    )


def _do(world: World, call: Call, doing: dict[str, Any]) -> list[dict[str, Any]]:
    placed = []
    for ticket in doing["tickets"]:
        if "order" in doing:
            order = world.orders.get(doing["order"], call.now)
            assert order is not None
            world.orders.modify(order, ticket, call.now)
        else:
            order = world.orders.place(doing["account"], contract_in(world, ticket), ticket, call.now)
        placed.append({"order_id": str(order.id), "order_status": order.status, "encrypt_message": "1"})
    return placed


def _forget_question(call: Call) -> None:
    call.memory.notes.pop("question", None)


def answer_order_question(world: World, call: Call) -> Answer:
    confirmed = body_of(call).get("confirmed")
    if not isinstance(confirmed, bool):
        raise bad_request("confirmed must be true or false")
    question = call.memory.notes.pop("question", None)
    if question is None or question["id"] != call.path["replyId"]:
        raise Refusal(400, {"error": f"reply id not found: '{call.path['replyId']}'"})
    if not confirmed:
        return Answer({"error": "Order not confirmed "})
    return _ask_or_do(world, call, question["rest"], question["doing"])


def cancel_order(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    if call.path["orderId"] == "-1":
        for order in world.orders.all(call.now):
            if order.account == account.id and order.status not in FINAL:
                world.orders.cancel(order, call.now)
        return Answer({"msg": "Request was submitted", "order_id": -1, "conid": -1, "account": None})
    found = _order(world, call, call.path["orderId"])
    if found is None or found.account != account.id:
        return Answer({"error": f"OrderID {call.path['orderId']} doesn't exist"})
    if found.status in FINAL:
        return Answer({"error": f"OrderID {found.id} can't be cancelled: it is {found.status}"})
    world.orders.cancel(found, call.now)
    return Answer(
        {
            "msg": "Request was submitted",
            "order_id": found.id,
            "conid": found.contract.conid,
            "account": found.account,
        }
    )


def _order(world: World, call: Call, text: str) -> Order | None:
    number = as_number(text)
    return None if number is None else world.orders.get(number, call.now)


def preview_orders(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    tickets = tickets_in(call)
    value = world.valuation(account, call.now)
    cost = margin = commission = held = change = 0.0
    contract: Contract | None = None
    warnings = []
    for ticket in tickets:
        rejection = check(world, account.id, ticket)
        if rejection is not None:
            return Answer({"error": rejection})
        contract = contract_in(world, ticket)
        quantity = float(ticket.get("quantity") or 0)
        limit = ticket.get("price")
        price = limit / contract.magnifier if limit else world.market.price(contract, call.now)
        sign = 1 if str(ticket["side"]).upper() == "BUY" else -1
        amount = (quantity * price * contract.multiplier) if quantity else float(ticket["cashQty"])
        cost += sign * amount
        margin += amount * value.rates.get(contract.currency, 1.0) * 0.25
        commission += max(1.0, quantity * 0.005)
        held = sum(row.holding.quantity for row in value.rows if row.holding.contract.conid == contract.conid)
        change += sign * quantity
        if not any(as_conid(key) == contract.conid for key in call.memory.notes.get("lines", {})):
            warnings.append("21/You have no market data for this instrument.")
    assert contract is not None
    equity = value.net_liquidation
    short = margin * 1.1 > value.available_funds
    return Answer(
        {
            "amount": {
                "amount": f"{abs(cost):,.2f} {contract.currency} ({abs(change):g} Shares)",
                "commission": f"{commission:,.2f} {contract.currency}",
                "total": f"{abs(cost) + commission:,.2f} {contract.currency}",
            },
            "equity": _change(equity, -commission),
            "initial": _change(value.initial_margin, margin * 1.1),
            "maintenance": _change(value.maintenance_margin, margin),
            "position": _change(held, change),
            "warn": "\n".join(warnings) or None,
            "error": "Your account does not have enough funds for this order." if short else None,
        }
    )


def _change(current: float, change: float) -> dict[str, str]:
    return {"current": f"{current:,.0f}", "change": f"{change:,.0f}", "after": f"{current + change:,.0f}"}


def suppress_order_questions(world: World, call: Call) -> Answer:
    ids = body_of(call).get("messageIds")
    if not isinstance(ids, list) or not ids or len(ids) > MAX_SUPPRESSED:
        raise bad_request(f"messageIds must hold 1 to {MAX_SUPPRESSED} ids")
    call.memory.notes.setdefault("suppressed", set()).update(str(message_id) for message_id in ids)
    return Answer({"status": "submitted"})


def reset_suppressed_questions(world: World, call: Call) -> Answer:
    call.memory.notes.pop("suppressed", None)
    return Answer({"status": "submitted"})


def answer_order_prompt(world: World, call: Call) -> Answer:
    body = body_of(call)
    if not all(body.get(name) for name in ("orderId", "reqId", "text")):
        raise bad_request("orderId, reqId and text are needed")
    return Answer("Notification was processed", media="text/plain")


ANSWERS = {
    "place_orders": place_orders,
    "place_model_orders": place_model_orders,
    "modify_order": modify_order,
    "cancel_order": cancel_order,
    "preview_orders": preview_orders,
    "answer_order_question": answer_order_question,
    "answer_order_prompt": answer_order_prompt,
    "suppress_order_questions": suppress_order_questions,
    "reset_suppressed_questions": reset_suppressed_questions,
}
