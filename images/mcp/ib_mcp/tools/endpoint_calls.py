"""A call of one operation as agents give it: permitted, its arguments checked, its answer cut to what fits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ib_mcp.auth import granted
from ib_mcp.auth.scopes import scope_of
from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import offset
from ib_mcp.guard.client import Reply
from ib_mcp.settings import McpSettings
from ib_mcp.tags import GENERAL
from ib_mcp.tools.base import Answer
from ibkr.errors import InvalidRequest, OperationForbidden, OperationUnknown
from ibkr.operation import Operation

# What the guard takes about orders; other operations that trade it refuses.
ORDERS = frozenset({"preview_orders", "place_orders", "modify_order", "cancel_order", "answer_order_question"})

_MOST_CHARACTERS = 20_000
_NEVER = "No setting of this server permits it: use TWS, IBKR Mobile or Client Portal."
# What to do instead of an operation that does not only read.
_ELSEWHERE = {
    "trade": "Ask the owner to permit trading (TRADING, scope ibkr:trade), or trade in TWS or Client Portal.",
    "write": "Ask the owner to permit writes (ALLOW_WRITES, scope ibkr:write), or change it in Client Portal or TWS.",
    "preview": "Ask the owner to permit trading (TRADING, scope ibkr:trade), or preview it in TWS or Client Portal.",
    "session": "It changes the session for every agent, and no setting permits it; reopen_session opens a lost one.",
    "stream": "Streams are not handed on: ask for single answers, such as get_price_snapshot.",
}


def is_permitted(context: ToolContext, endpoint: Operation) -> bool:
    """Whether the present agent may call ``endpoint`` for its effect."""
    return may_have(context.settings, endpoint) and granted.has(scope_of(endpoint.effect))


def may_have(settings: McpSettings, endpoint: Operation) -> bool:
    """Whether the effect of ``endpoint`` is one that this server may have."""
    if endpoint.id in ORDERS:
        return settings.trading
    return endpoint.effect == "read" or (endpoint.effect == "write" and settings.allow_writes)


def is_offered(context: ToolContext, endpoint: Operation) -> bool:
    return context.settings.wants((GENERAL, *endpoint.tags))


def refuse(context: ToolContext, endpoint: Operation) -> None:
    """Raise what an agent is told of an operation that it may not call."""
    if endpoint.status == "unsupported":
        raise OperationUnknown(f"{endpoint.id} cannot be used. {endpoint.reason}", action="Look for another one.")
    if not is_permitted(context, endpoint):
        raise OperationForbidden(
            f"{endpoint.id} is not a reading operation ({endpoint.effect}).",
            action=_ELSEWHERE.get(endpoint.effect, _NEVER),
        )


def shown(endpoint: Operation, reply: Reply, pick: str | None, cursor: str | None) -> Answer:
    """IBKR's answer, or the part of it that was asked for and fits."""
    return {"endpoint": endpoint.id, "age_ms": reply.age_ms, **_part(reply.body, pick, cursor)}


def check(endpoint: str, given: dict[str, Any], names: Iterable[str], needed: Iterable[str]) -> None:
    """Refuse arguments that the operation does not know, and calls without those that it needs."""
    unknown = [name for name in given if name not in names]
    missing = [name for name in needed if given.get(name) in (None, "")]
    if unknown or missing:
        said = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [f"needs {', '.join(missing)}"] * bool(missing)
        raise InvalidRequest(
            f"{endpoint} {' and '.join(said)}.", action=f"Its parameters are: {' '.join(names) or 'none'}."
        )


def segment(name: str, value: Any) -> str:
    """``value`` as a part of a path."""
    text = str(value)
    if not all(sign.isascii() and (sign.isalnum() or sign in "_~@-.") for sign in text) or ".." in text:
        raise InvalidRequest(f"{name} cannot be {text[:40]!r}.", action="Use letters, digits, dots and dashes.")
    return text


def joined(value: Any) -> Any:
    """Lists are written with commas in a query."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _part(body: Any, pick: str | None, cursor: str | None) -> Answer:
    """The part of an answer that was asked for and fits; ``more`` goes on with the rest of a list."""
    part = _picked(body, pick)
    if isinstance(part, list):
        start = offset(cursor)
        shown: list[Any] = []
        size = 0
        for item in part[start:]:
            size += len(json.dumps(item))
            if shown and size > _MOST_CHARACTERS:
                return {"result": shown, "more": str(start + len(shown)), "total": len(part)}
            shown.append(item)
        return {"result": shown}
    if len(json.dumps(part)) > _MOST_CHARACTERS:
        sizes = {name: len(json.dumps(value)) for name, value in part.items()} if isinstance(part, dict) else {}
        raise InvalidRequest(
            "The answer is too large to show at once.",
            action=f"Give pick; the parts and their sizes: {json.dumps(sizes)[:600]}.",
        )
    return {"result": part}


def _picked(body: Any, pick: str | None) -> Any:
    part = body
    for step in pick.split(".") if pick else ():
        if isinstance(part, dict) and step in part:
            part = part[step]
        elif isinstance(part, list) and step.isdecimal() and len(step) < 10 and int(step) < len(part):
            part = part[int(step)]
        else:
            names = (
                ", ".join(list(part)[:30])
                if isinstance(part, dict)
                else f"0 to {len(part) - 1}"
                if isinstance(part, list)
                else "none"
            )
            raise InvalidRequest(f"The answer has no part {step[:40]!r}.", action=f"Choose of: {names}.")
    return part
