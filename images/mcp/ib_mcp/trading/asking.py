"""Asking the person behind the agent whether an order may go: what is shown, and who can ask on the present wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import mcp_types

from ib_mcp.formats.bodies import listed_in
from ib_mcp.formats.text import untrusted

APPROVE = "approve"
ASK_S = 110.0
"""So long a person is waited for in one call: less than a ticket lives."""

Decision = Literal["approved", "refused", "decided elsewhere"]
IsOpen = Callable[[], Awaitable[bool]]
"""Whether nobody else has decided yet."""


@dataclass(frozen=True, slots=True)
class AskFirst:
    """On the wire without sessions a call ends with the question, and comes again with the answer."""

    question: mcp_types.InputRequiredResult


class Person(Protocol):
    """Whoever sits before the agent's client, as far as that can ask."""

    async def ask(self, ticket: str, message: str, is_open: IsOpen) -> Decision | AskFirst | None:
        """What the person says; None when nobody answers."""


person: ContextVar[Person | None] = ContextVar("person", default=None)
"""Of the call that is being answered; None where its client cannot ask."""


def person_at(agent: str) -> str:
    """Who decided, for the record."""
    return f"the person at {agent}, asked by its client"


def form(message: str) -> mcp_types.ElicitRequestFormParams:
    """The form that a client shows: one box, which has to be ticked."""
    return mcp_types.ElicitRequestFormParams(
        message=message,
        requested_schema={
            "type": "object",
            "properties": {APPROVE: {"type": "boolean", "title": "Send this order"}},
            "required": [APPROVE],
        },
    )


def decision_of(action: Any, content: Any) -> Decision | None:
    """What an answered form says; a form that was put away says nothing."""
    if action == "decline":
        return "refused"
    if action != "accept" or not isinstance(content, Mapping):
        return None
    return "approved" if content.get(APPROVE) is True else "refused"


def message_of(summary: Mapping[str, Any]) -> str:
    """The whole of what is approved: account, paper or live, the order in words, cost and warnings."""
    is_paper = summary.get("is_paper")
    kind = "PAPER account" if is_paper is True else "LIVE account" if is_paper is False else "Account"
    lines = [
        "An agent wants to send this order to Interactive Brokers:",
        f"{kind} {untrusted(summary.get('account'), 40)}",
        *untrusted(summary.get("words"), 2000).split("; "),
    ]
    figures = ("notional", "cost", "margin", "position")
    lines += [f"{name.capitalize()}: {_flat(summary[name])}" for name in figures if summary.get(name)]
    lines += [f"Mind: {untrusted(warning, 400)}" for warning in listed_in(summary.get("warnings"))]
    return "\n".join(lines)


def _flat(value: Any) -> str:
    """A nested figure in one line."""
    if not isinstance(value, Mapping):
        return untrusted(value, 200)
    if value.keys() == {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    return ", ".join(f"{name.replace('_', ' ')} {_flat(inner)}" for name, inner in value.items())
