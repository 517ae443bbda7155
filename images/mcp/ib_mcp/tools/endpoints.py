"""The whole catalogue of IBKR's Web API, for what no other tool does."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field

from ib_mcp.context import ToolContext
from ib_mcp.tags import GENERAL
from ib_mcp.tools.arguments import Cursor
from ib_mcp.tools.base import Answer, read_tool
from ib_mcp.tools.endpoint_calls import check, is_offered, is_permitted, joined, refuse, segment, shown
from ibkr import catalogue, not_given
from ibkr.errors import OperationForbidden, OperationUnknown
from ibkr.operation import Operation, Parameter


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
    return {"endpoints": [_described(context, endpoint) for endpoint in found]}


def _described(context: ToolContext, endpoint: Operation) -> Answer:
    return {
        "endpoint": endpoint.id,
        "title": endpoint.title,
        "call": f"{endpoint.method} {endpoint.path}",
        "parameters": " ".join(
            (*(f"{name}*" for name in endpoint.path_parameters), *map(_starred, _parameters(endpoint)))
        ),
        "effect": endpoint.effect,
        "callable": is_permitted(context, endpoint) and endpoint.status != "unsupported",
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
) -> Answer:
    """Call any reading operation of IBKR's Web API; its answer comes as it is, texts untrusted. Prefer other tools."""
    wanted = _wanted(context, endpoint)
    given = parameters or {}
    names = [*wanted.path_parameters, *(parameter.name for parameter in _parameters(wanted))]
    needed = [*wanted.path_parameters, *(parameter.name for parameter in _parameters(wanted) if parameter.required)]
    check(wanted.id, given, names, needed)
    path = {name: segment(name, given[name]) for name in wanted.path_parameters}
    query = {name: joined(given[name]) for parameter in wanted.query if (name := parameter.name) in given}
    body = {name: given[name] for parameter in wanted.body if (name := parameter.name) in given}
    reply = await context.guard.call(wanted.id, path=path, query=query, body=body if wanted.method != "GET" else None)
    return shown(wanted, reply, pick, cursor)


def _wanted(context: ToolContext, name: str) -> Operation:
    known = catalogue.load()
    endpoint = known.get(name.strip())
    if endpoint is None:
        near = get_close_matches(name, [row.id for row in known], n=3) or [row.id for row in known.search(name)[:3]]
        hint = f"Perhaps {', '.join(near)}; else use find_endpoint." if near else "Look it up with find_endpoint."
        raise OperationUnknown(f"There is no operation {name[:80]!r}.", action=hint)
    refuse(context, endpoint)
    if not is_offered(context, endpoint):
        raise OperationForbidden(f"The owner does not offer operations like {endpoint.id}.")
    return endpoint
