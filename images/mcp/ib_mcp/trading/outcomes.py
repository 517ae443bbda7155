"""What became of an order, in words, and what to do next."""

from __future__ import annotations

from typing import Any

from ib_mcp.formats.bodies import objects
from ib_mcp.formats.text import untrusted

Answer = dict[str, Any]

_NEXT = {
    "working": "It works at IBKR. get_order_status follows it; cancel_order takes it back.",
    "filled": "It is done.",
    "partly_filled": "The rest works on. get_order_status follows it; cancel_order takes the rest back.",
    "rejected": "Nothing works at IBKR. Correct what IBKR says, and preview again.",
    "cancelled": "Nothing works at IBKR any more.",
    "declined": "Nothing was placed. Tell the user; preview again only if they want it.",
    "not_placed": "It never reached IBKR: nothing was placed. Preview again if it is still wanted.",
    "approval_needed": "Nothing was sent. Give the user approval_url; call submit_order with this ticket after that.",
    "outcome_unknown": "Do not send it again. Its answer was lost and it is being looked up: call submit_order with"
    " this ticket again in some seconds, which sends nothing, or get_order_status.",
}
_ASKED = "Nothing was placed: IBKR asked what the owner's policy does not answer. Show the user the question."


def told(found: Answer) -> Answer:
    """The guard's outcome as an agent reads it. IBKR's texts are marked as such."""
    outcome = str(found.get("outcome"))
    question = found.get("question")
    answer: Answer = {
        "mode": found.get("mode") or "unknown",
        "outcome": outcome,
        "message": untrusted(found.get("message"), 600),
    }
    if found.get("repeated"):
        answer["repeated"] = "This ticket was submitted before; this is what became of it, and nothing was sent now."
    if isinstance(question, dict):
        answer["ibkr_asks"] = {
            "untrusted": untrusted(question.get("text"), 1000),
            "message_ids": question.get("message_ids"),
        }
    orders = [_order(row) for row in objects(found.get("orders"))]
    if orders:
        answer["orders"] = orders
    if found.get("approval_url"):
        answer["approval_url"] = found["approval_url"]
    if found.get("gateway"):
        answer["gateway"] = found["gateway"]
    follow = _NEXT.get(outcome, "Call get_order_status.")
    answer["next"] = _ASKED if outcome == "declined" and question else follow
    return answer


def _order(row: Answer) -> Answer:
    shown = {
        "order_id": row.get("order_id"),
        "own_id": row.get("client_order_id"),
        "status": row.get("status"),
        "message": untrusted(row.get("message"), 300) or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
