"""How an order request ended, and what IBKR's answers to one mean. Pure.

IBKR answers a place or a change with the orders, with a question, with a refusal at HTTP 200, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

OutcomeName = Literal[
    "working",
    "filled",
    "partly_filled",
    "rejected",
    "cancelled",
    "declined",
    "approval_needed",
    "outcome_unknown",
    "not_placed",
]

_LONGEST_TEXT = 2000
_BY_STATUS: Mapping[str, OutcomeName] = {
    "filled": "filled",
    "inactive": "rejected",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order as IBKR knows it; ``client_order_id`` is None for the child of a bracket."""

    client_order_id: str | None
    order_id: str | None
    status: str | None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What IBKR wants confirmed. ``text`` is IBKR's and untrusted. ``reply_id``: by which it is answered.

    ``prompt``: the fields of a prompt, which is answered by one of its ``options`` at another address.
    """

    reply_id: str
    message_ids: tuple[str, ...]
    text: str
    options: tuple[str, ...] = ()
    prompt: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"message_ids": list(self.message_ids), "text": self.text}


@dataclass(frozen=True, slots=True)
class Outcome:
    """``not_placed``: IBKR does not know the order, so that what was sent never reached it."""

    outcome: OutcomeName
    message: str
    orders: tuple[OrderState, ...] = ()
    question: Question | None = None
    approval_url: str | None = None

    def to_json(self, *, repeated: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {
            "outcome": self.outcome,
            "repeated": repeated,
            "orders": [asdict(order) for order in self.orders],
            "message": self.message,
        }
        if self.question is not None:
            body["question"] = self.question.to_json()
        if self.approval_url is not None:
            body["approval_url"] = self.approval_url
        return body


def from_json(body: Mapping[str, Any]) -> Outcome:
    """What ``Outcome.to_json`` wrote."""
    question = body.get("question")
    return Outcome(
        body["outcome"],
        body["message"],
        tuple(OrderState(**order) for order in body["orders"]),
        Question("", tuple(question["message_ids"]), question["text"]) if question else None,
    )


def read_placed(body: Any, client_order_ids: Sequence[str | None]) -> Outcome | Question | None:
    """What IBKR's good answer to a place, a change or a reply says; None when it says nothing that is known.

    ``client_order_ids``: of the orders in the order in which they were sent.
    """
    if isinstance(body, dict) and body.get("prompt") is True and "reqId" in body:
        return _read_prompt(body)
    rows = body if isinstance(body, list) else [body]
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    for row in rows:
        if isinstance(row.get("id"), str) and isinstance(row.get("message"), list):
            return _read_question(row)
    errors = [str(row["error"])[:_LONGEST_TEXT] for row in rows if row.get("error")]
    placed = [row for row in rows if _order_id(row) is not None]
    if not placed:
        return Outcome("rejected", f"IBKR: {errors[0]}", _named(client_order_ids)) if errors else None
    ids = {name: place for place, name in enumerate(client_order_ids) if name is not None}
    states: list[OrderState] = list(_named(client_order_ids))
    for place, row in enumerate(placed):
        at = ids.get(str(row.get("local_order_id") or row.get("order_ref") or ""), place)
        state = OrderState(None, _order_id(row), _text(row, "order_status"), _text(row, "text", "warning_message"))
        if at < len(states):
            states[at] = replace(state, client_order_id=states[at].client_order_id)
        else:
            states.append(state)
    outcome = from_status(states[0].status)
    message = in_words(outcome, states[0].status) if not errors else f"IBKR: {errors[0]}"
    return Outcome(outcome, message, tuple(states))


def is_registered(body: Any) -> bool:
    """Whether IBKR refuses an order because it has one under the same client order id."""
    rows = body if isinstance(body, list) else [body]
    return any(isinstance(row, dict) and "already registered" in str(row.get("error", "")).lower() for row in rows)


def from_status(status: str | None, filled: float = 0.0, remaining: float | None = None) -> OutcomeName:
    """The outcome that a status of IBKR stands for; whatever is on its way is working, since it may still fill."""
    known = _BY_STATUS.get((status or "").replace("_", "").lower(), "working")
    if known == "filled" and remaining:
        return "partly_filled"
    if known == "working" and filled > 0:
        return "partly_filled"
    return known


def in_words(outcome: OutcomeName, status: str | None) -> str:
    """One sentence about an order that IBKR knows."""
    shown = f" ({status})" if status else ""
    match outcome:
        case "filled":
            return f"IBKR filled the order{shown}."
        case "partly_filled":
            return f"IBKR filled a part of the order{shown}."
        case "cancelled":
            return f"The order is cancelled, or IBKR refused it{shown}."
        case "rejected":
            return f"IBKR did not transmit the order, or refused it{shown}."
    return f"IBKR has the order{shown}."


def _named(client_order_ids: Sequence[str | None]) -> tuple[OrderState, ...]:
    return tuple(OrderState(name, None, None) for name in client_order_ids)


def _read_question(row: Mapping[str, Any]) -> Question:
    ids = row.get("messageIds")
    text = "\n".join(str(line) for line in row["message"])[:_LONGEST_TEXT]
    options = row.get("messageOptions")
    return Question(
        str(row["id"]),
        tuple(str(each) for each in ids) if isinstance(ids, list) else (),
        text,
        tuple(str(each) for each in options) if isinstance(options, list) else (),
    )


def _read_prompt(body: Mapping[str, Any]) -> Question:
    options = body.get("options")
    given = tuple(str(each) for each in options) if isinstance(options, list) else ()
    kept = {name: body.get(name) for name in ("orderId", "reqId")}
    ids = (str(body["messageId"]),) if body.get("messageId") else ()
    return Question(str(body["reqId"]), ids, str(body.get("text", ""))[:_LONGEST_TEXT], given, kept)


def _order_id(row: Mapping[str, Any]) -> str | None:
    value = row.get("order_id", row.get("orderId"))
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) else None


def _text(row: Mapping[str, Any], *names: str) -> str | None:
    return next((row[name][:_LONGEST_TEXT] for name in names if isinstance(row.get(name), str) and row[name]), None)
