"""Placing, changing and cancelling orders, with IBKR's questions in between.

One question at a time is open in a brokerage session, and any other order call makes it void.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ib_simulator.answers.questions import Question, questions
from ib_simulator.answers.refusals import (
    account_of,
    as_conid,
    as_number,
    bad_request,
    body_of,
    needs_accounts,
    unavailable,
)
from ib_simulator.answers.rejections import Attempt, rejection
from ib_simulator.answers.tickets import Ticket, check_form, contract_in, legs_in, ticket_in, tickets_in
from ib_simulator.answers.whatif import preview
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.orders import Order

MAX_SUPPRESSED = 51
PROMPTS = "p"
"""Message ids that begin so are asked as a prompt, which /iserver/notification answers."""


def place_orders(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    tickets = tickets_in(call)
    refused = _refused(world, call, account, tickets)
    if refused is not None:
        return refused
    asked = [question for ticket in tickets for question in _questions(world, call, account, ticket)]
    return _ask_or_do(world, call, asked, {"account": account.id, "tickets": tickets, "at": call.now})


def _refused(world: World, call: Call, account: Account, tickets: list[Ticket]) -> Answer | None:
    """The answer to tickets that IBKR does not take, None when it takes them."""
    for ticket in tickets:
        check_form(world, account.id, ticket)
    problem = _together(world, account, tickets)
    for ticket in () if problem else tickets:
        problem = problem or rejection(Attempt(world, account, ticket, call.now))
    return None if problem is None else Answer({"error": problem})


def _together(world: World, account: Account, tickets: list[Ticket]) -> str | None:
    """What is wrong with tickets as a bracket or a group of which one is filled."""
    first, *rest = tickets
    handles = [str(ticket["cOID"]) for ticket in tickets if ticket.get("cOID")]
    if len(set(handles)) < len(handles):
        return f"Order couldn't be submitted: Local order ID={handles[-1]} is already registered."
    for ticket in tickets:
        parent = ticket.get("parentId")
        if parent and parent not in handles and world.orders.parent(parent, account.id) is None:
            return f"The parent order {parent} is unknown."
    attached = all(ticket.get("parentId") == first.get("cOID") is not None for ticket in rest)
    grouped = all(ticket.get("isSingleGroup") for ticket in tickets)
    if rest and not attached and not grouped:
        return "Several orders in one request must be a bracket or one group."
    return None


def _questions(world: World, call: Call, account: Account, ticket: Ticket) -> list[Question]:
    notes = call.memory.notes
    watched, suppressed = notes.get("lines", {}), notes.get("suppressed", ())
    return questions(world, account, ticket, call.now, watched=watched, suppressed=suppressed)


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
    if order.is_final or order.status == "PendingCancel":
        return Answer({"error": f"OrderID {order.id} can't be modified: it is {order.status}"})
    ticket = {name: value for name, value in ticket_in(call).items() if name != "cOID"}
    check_form(world, account.id, ticket)
    same = contract_in(world, ticket).conid == order.contract.conid and legs_in(world, ticket) == order.legs
    if not same:
        return Answer({"error": "The contract of an order can't be changed"})
    if str(ticket["side"]).upper() != order.side:
        return Answer({"error": "The side of an order can't be changed"})
    problem = rejection(Attempt(world, account, ticket, call.now, order))
    if problem is not None:
        return Answer({"error": problem})
    doing = {"account": account.id, "tickets": [ticket], "order": order.id}
    return _ask_or_do(world, call, _questions(world, call, account, ticket), doing)


def _ask_or_do(world: World, call: Call, asked: list[Question], doing: dict[str, Any]) -> Answer:
    """The first of the questions, or the deed when there is none left."""
    if not asked:
        return Answer(_do(world, call, doing))
    number = call.memory.notes["questions_asked"] = call.memory.notes.get("questions_asked", 0) + 1
    reply_id = str(UUID(int=(world.seed & 0xFFFFFFFF) << 96 | 0x4000_8000 << 48 | number))
    message_id, text = asked[0]
    is_prompt = message_id.startswith(PROMPTS)
    question = {"id": str(number) if is_prompt else reply_id, "prompt": is_prompt, "asked_at": call.now}
    call.memory.notes["question"] = question | {"rest": asked[1:], "doing": doing}
    if is_prompt:
        return Answer(
            {
                "orderId": number,
                "reqId": str(number),
                "text": text,
                "options": ["Submit", "Cancel"],
                "messageId": message_id,
                "type": "order",
                "prompt": True,
                "dismissable": [],
            }
        )
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


def _do(world: World, call: Call, doing: dict[str, Any]) -> Any:
    tickets = doing["tickets"]
    if "order" in doing:
        order = world.orders.get(doing["order"], call.now)
        assert order is not None
        if order.is_final:
            # It was filled or ended while the question was open.
            return {"error": f"OrderID {order.id} can't be modified: it is {order.status}"}
        world.orders.modify(order, tickets[0], call.now)
        return [_placed(order)]
    account = world.account(doing["account"])
    assert account is not None
    # What was free when the question was asked may be taken now.
    refused = _refused(world, call, account, tickets) if doing["at"] != call.now else None
    if refused is not None:
        return refused.body
    world.orders.more_questions = []
    oca = f"group {call.now} {tickets[0].get('cOID')}" if tickets[0].get("isSingleGroup") else ""
    placed = [
        world.orders.place(
            account.id, contract_in(world, ticket), ticket, call.now, legs=legs_in(world, ticket), oca=oca
        )
        for ticket in tickets
    ]
    call.memory.notes.setdefault("placed", set()).update(order.id for order in placed)
    return [_placed(order) for order in placed]


def _placed(order: Order) -> dict[str, Any]:
    return {"order_id": str(order.id), "order_status": order.status, "encrypt_message": "1"}


def _forget_question(call: Call) -> None:
    call.memory.notes.pop("question", None)


def answer_order_question(world: World, call: Call) -> Answer:
    confirmed = body_of(call).get("confirmed")
    if not isinstance(confirmed, bool):
        raise bad_request("confirmed must be true or false")
    question = call.memory.notes.pop("question", None)
    if question is None or question["prompt"] or question["id"] != call.path["replyId"]:
        raise Refusal(400, {"error": f"reply id not found: '{call.path['replyId']}'"})
    if call.now > question["asked_at"] + world.orders.pace.question_s:
        raise unavailable()
    if not confirmed:
        return Answer({"error": "Order not confirmed "})
    return _ask_or_do(world, call, question["rest"], question["doing"])


def cancel_order(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    if call.path["orderId"] == "-1":
        for order in world.orders.active(call.now):
            if order.account == account.id and order.status != "PendingCancel":
                world.orders.cancel(order, call.now)
        return Answer({"msg": "Request was submitted", "order_id": -1, "conid": -1, "account": None})
    found = _order(world, call, call.path["orderId"])
    if found is None or found.account != account.id:
        return Answer({"error": f"OrderID {call.path['orderId']} doesn't exist"})
    if found.is_final or found.status == "PendingCancel":
        return Answer({"error": f"OrderID {found.id} can't be cancelled: it is {found.status}"})
    if found.contract.kind in {"FUT", "FOP"} and "manualIndicator" not in call.query:
        return Answer({"error": "Manual order indicator must be set for this contract."})
    done = world.orders.cancel(found, call.now)
    return Answer(
        {
            "msg": "Request was submitted",
            "order_id": found.id,
            "conid": -1 if done else found.contract.conid,
            "account": None if done else found.account,
        }
    )


def _order(world: World, call: Call, text: str) -> Order | None:
    number = as_number(text)
    return None if number is None else world.orders.get(number, call.now)


def preview_orders(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    needs_accounts(call)
    _forget_question(call)
    tickets = tickets_in(call)
    for ticket in tickets:
        check_form(world, account.id, ticket)
        problem = rejection(Attempt(world, account, ticket, call.now), money=False)
        if problem is not None:
            return Answer({"error": problem})
    lines, suppressed = call.memory.notes.get("lines", {}), call.memory.notes.get("suppressed", ())
    watched = {as_conid(key) for key in lines}
    unseen = {contract_in(world, ticket).conid for ticket in tickets} - watched
    warnings = ["21/You have no market data for this instrument."] if unseen and "o354" not in suppressed else []
    return Answer(preview(world, account, tickets, call.now, warnings))


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
    question = call.memory.notes.get("question")
    if question is not None and question["prompt"] and question["id"] == str(body["reqId"]):
        _forget_question(call)
        if body["text"] == "Submit":
            # What becomes of the order is not told here.
            _ask_or_do(world, call, question["rest"], question["doing"])
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
