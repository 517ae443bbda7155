"""The whole catalogue of IBKR's Web API, for what no other tool does."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.formats.tables import offset
from ib_mcp.tags import GENERAL
from ib_mcp.tools.arguments import Cursor
from ib_mcp.tools.base import Answer, read_tool
from ibkr import catalogue, not_given
from ibkr.errors import InvalidRequest, OperationForbidden, OperationUnknown
from ibkr.operation import Operation, Parameter

_MOST_CHARACTERS = 20_000
_READING = frozenset({"read"})
_NEVER = "No setting of this server permits it: use TWS, IBKR Mobile or Client Portal."
# What to do instead of an operation that does not only read.
_ELSEWHERE = {
    "trade": "This server only reads, and no setting permits it: trade in TWS, IBKR Mobile or Client Portal.",
    "write": "This server only reads, and no setting permits it: change it in TWS, IBKR Mobile or Client Portal.",
    "preview": "This server only reads, and no setting permits it: preview the order in TWS or Client Portal.",
    "session": "It changes the session for every agent, and no setting permits it; reopen_session opens a lost one.",
    "stream": "Streams are not handed on: ask for single answers, such as get_price_snapshot.",
}


@read_tool(GENERAL)
async def find_endpoint(
    context: ToolContext,
    words: Annotated[str, Field(max_length=200, description="what it should do, or an id")],
    limit: Annotated[int, Field(ge=1, le=20)] = 6,
) -> Answer:
    """Find operations of IBKR's Web API for call_endpoint, with their parameters (* required)."""
    known = catalogue.load()
    exact = known.get(words.strip())
    gaps = [] if exact else not_given.about(words)
    if gaps:
        # The nearest operations would only look as if they gave it.
        return {"endpoints": [], "not_given": [gap.answer for gap in gaps]}
    rows = [exact] if exact else known.search(words)
    found = [row for row in rows if is_offered(context, row)][:limit]
    if not found:
        raise OperationUnknown(f"No operation fits {words[:60]!r}.", action="Use other words, or fewer.")
    return {"endpoints": [_described(endpoint) for endpoint in found]}


def _described(endpoint: Operation) -> Answer:
    return {
        "endpoint": endpoint.id,
        "title": endpoint.title,
        "call": f"{endpoint.method} {endpoint.path}",
        "parameters": " ".join(
            (*(f"{name}*" for name in endpoint.path_parameters), *map(_starred, _parameters(endpoint)))
        ),
        "effect": endpoint.effect,
        "callable": endpoint.effect in _READING and endpoint.status != "unsupported",
        **({"beware": endpoint.reason} if endpoint.reason else {}),
    }


def _starred(parameter: Parameter) -> str:
    return parameter.name + "*" * parameter.required


def _parameters(endpoint: Operation) -> tuple[Parameter, ...]:
    return (*endpoint.query, *endpoint.body)


@read_tool(GENERAL)
async def call_endpoint(
    context: ToolContext,
    endpoint: Annotated[str, Field(max_length=80, description="id of find_endpoint")],
    parameters: dict[str, Any] | None = None,
    pick: Annotated[str | None, Field(description="only this part of a large answer, e.g. data.0.name")] = None,
    cursor: Cursor = None,
    gateway: Annotated[str | None, Field(description="of several, for what names no account")] = None,
) -> Answer:
    """Call any reading operation of IBKR's Web API; its answer comes as it is, texts untrusted. Prefer other tools."""
    wanted = _wanted(context, endpoint)
    given = parameters or {}
    _check(wanted, given)
    path = {name: _segment(name, given[name]) for name in wanted.path_parameters}
    query = {name: _joined(given[name]) for parameter in wanted.query if (name := parameter.name) in given}
    body = {name: given[name] for parameter in wanted.body if (name := parameter.name) in given}
    reply = await context.guard.call(
        wanted.id, gateway=gateway, path=path, query=query, body=body if wanted.method != "GET" else None
    )
    return {"endpoint": wanted.id, "age_ms": reply.age_ms, **_part(reply.body, pick, cursor)}


def is_offered(context: ToolContext, endpoint: Operation) -> bool:
    return context.settings.wants((GENERAL, *endpoint.tags))


def _wanted(context: ToolContext, name: str) -> Operation:
    known = catalogue.load()
    endpoint = known.get(name.strip())
    if endpoint is None:
        near = get_close_matches(name, [row.id for row in known], n=3) or [row.id for row in known.search(name)[:3]]
        hint = f"Perhaps {', '.join(near)}; else use find_endpoint." if near else "Look it up with find_endpoint."
        raise OperationUnknown(f"There is no operation {name[:80]!r}.", action=hint)
    if endpoint.status == "unsupported":
        raise OperationUnknown(f"{endpoint.id} cannot be used. {endpoint.reason}", action="Look for another one.")
    if not is_offered(context, endpoint):
        raise OperationForbidden(f"The owner does not offer operations like {endpoint.id}.")
    if endpoint.effect not in _READING:
        raise OperationForbidden(
            f"{endpoint.id} is not a reading operation ({endpoint.effect}).",
            action=_ELSEWHERE.get(endpoint.effect, _NEVER),
        )
    return endpoint


def _check(endpoint: Operation, given: dict[str, Any]) -> None:
    names = [*endpoint.path_parameters, *(parameter.name for parameter in _parameters(endpoint))]
    needed = [*endpoint.path_parameters, *(parameter.name for parameter in _parameters(endpoint) if parameter.required)]
    unknown = [name for name in given if name not in names]
    missing = [name for name in needed if given.get(name) in (None, "")]
    if unknown or missing:
        said = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [f"needs {', '.join(missing)}"] * bool(missing)
        raise InvalidRequest(
            f"{endpoint.id} {' and '.join(said)}.", action=f"Its parameters are: {' '.join(names) or 'none'}."
        )


def _segment(name: str, value: Any) -> str:
    text = str(value)
    if not all(sign.isascii() and (sign.isalnum() or sign in "_~@-.") for sign in text) or ".." in text:
        raise InvalidRequest(f"{name} cannot be {text[:40]!r}.", action="Use letters, digits, dots and dashes.")
    return text


def _joined(value: Any) -> Any:
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
