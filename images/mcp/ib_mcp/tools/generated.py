"""Tools made from an OpenAPI document by FastMCP, which call the guard under the rules of our own tools."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NoReturn
from urllib.parse import unquote

import httpx2
import structlog
from fastmcp.server.providers.openapi import MCPType, OpenAPIProvider, RouteMap
from fastmcp.tools.base import Tool, ToolResult
from pydantic import PrivateAttr

from ib_mcp.context import ToolContext
from ib_mcp.guard import gateway_choice
from ib_mcp.guard.client import Guard, GuardClient, Reply
from ib_mcp.openapi.errors import DocumentUnreachable, DocumentUnreadable
from ib_mcp.openapi.load import load
from ib_mcp.openapi.repair.document import repair
from ib_mcp.openapi.select import PREFIX, Served, select
from ib_mcp.openapi.tool_document import CURSOR, PICK, tool_document
from ib_mcp.settings import McpSettings
from ib_mcp.tools.base import Effective, annotations_of, offer_gateways, result, small_schema, with_gateways
from ib_mcp.tools.endpoint_calls import check, may_have, refuse, segment, shown
from ibkr import catalogue
from ibkr.operation import Operation

log = structlog.get_logger(__name__)

_LONGEST_NAME = 56
_GUARD = "http://guard"


def generate(context: ToolContext, taken: Collection[str]) -> list[GeneratedTool]:
    """A tool for each operation that the settings choose of their document; none without one.

    ``taken``: names that other tools have. DocumentUnreadable for a document or a choice that cannot be used; an
    address that does not answer costs the generated tools only, and the log says so.
    """
    settings = context.settings
    if settings.spec is None:
        return []
    try:
        document = repair(load(settings.spec)).document
    except DocumentUnreachable as error:
        log.error("no tools were generated", reason=error.message)
        return []
    made = of_document(context, document, taken)
    if not made:
        log.warning("no tools were generated", reason="No operation of the document is served, chosen and permitted.")
    return made


def of_document(context: ToolContext, document: dict[str, Any], taken: Collection[str] = ()) -> list[GeneratedTool]:
    """The same of a repaired ``document``."""
    served = select(document).served
    permitted = [one for one in _chosen(context.settings, served) if may_have(context.settings, one.row)]
    named = dict(_named(permitted, context.settings.spec_naming, taken))
    made: list[GeneratedTool] = []
    if not named:
        return made
    OpenAPIProvider(
        tool_document(document, named.items()),
        httpx2.AsyncClient(base_url=_GUARD, transport=_GuardTransport(context.guard), trust_env=False),
        route_maps=[RouteMap(mcp_type=MCPType.TOOL)],
        validate_output=False,
        mcp_component_fn=lambda _, tool: made.append(GeneratedTool.of(tool, named[tool.name].row, context)),  # type: ignore[arg-type]
    )
    return made


def bytes_by_tag(document: dict[str, Any]) -> dict[str, int]:
    """What the list of tools grows by with each tag of the catalogue, were all of ``document`` chosen."""
    settings = McpSettings.model_construct(guard_url=_GUARD, guard_token="")
    found: dict[str, int] = {}
    for tool in of_document(ToolContext.of(GuardClient(_nowhere, _GUARD, ""), settings), document):
        size = len(tool.to_mcp_tool().model_dump_json(by_alias=True, exclude_none=True))
        for tag in tool.tags:
            found[tag] = found.get(tag, 0) + size
    return found


async def _nowhere(*_: object) -> NoReturn:
    raise AssertionError("tools that are only measured are never called")


class GeneratedTool(Effective):
    """FastMCP's tool of one operation, listed and answered as our own are."""

    _sends: Tool = PrivateAttr()
    _row: Operation = PrivateAttr()
    _context: ToolContext = PrivateAttr()

    @classmethod
    def of(cls, tool: Tool, row: Operation, context: ToolContext) -> GeneratedTool:
        made = cls(
            name=tool.name,
            title=tool.name.replace("_", " ").capitalize(),
            description=tool.description,
            parameters=small_schema(tool.parameters),
            tags=set(row.tags),
            annotations=annotations_of(row.effect),
            effect=row.effect,
        )
        offer_gateways(made.parameters, context)
        made._sends, made._row, made._context = tool, row, context
        return made

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        refuse(self._context, self._row)
        if self._context.settings.extra_guards:
            arguments = gateway_choice.take(arguments)
        given = {name: value for name, value in arguments.items() if value is not None}
        check(self.name, given, self.parameters["properties"], self.parameters.get("required", ()))
        pick, cursor = (None if one not in given else str(given.pop(one)) for one in (PICK, CURSOR))
        for name in self._row.path_parameters:
            segment(name, given[name])
        with gateway_choice.collected() as gateways:
            answer = (await self._sends.run(given)).structured_content or {}
        return result(with_gateways(shown(self._row, Reply(**answer), pick, cursor), gateways))


class _GuardTransport(httpx2.AsyncBaseTransport):
    """Hands what FastMCP would send over HTTP to the guard's client, with its caller, deadline and gateway."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raw_path = request.url.raw_path.decode().partition("?")[0]
        matched = catalogue.load().match(request.method, raw_path.removeprefix(PREFIX))
        if matched is None:
            raise DocumentUnreadable(f"{request.method} {raw_path[:80]} is no operation of the catalogue.")
        row, path = matched
        query: dict[str, str] = {}
        for name, value in request.url.params.multi_items():
            query[name] = f"{query[name]},{value}" if name in query else value
        reply = await self._guard.call(
            row.id,
            path={name: unquote(value) for name, value in path.items()},
            query=query,
            body=json.loads(request.content) if request.content else None,
        )
        return httpx2.Response(200, json={"body": reply.body, "age_ms": reply.age_ms, "source": reply.source})


def _chosen(settings: McpSettings, served: tuple[Served, ...]) -> list[Served]:
    """The operations that the settings name, by tag or one by one."""
    names = {name.casefold() for one in served for name in (one.row.id, one.operation["operationId"])}
    tags = {tag.casefold() for one in served for tag in _tags(one)}
    included, excluded = _folded(settings.spec_include_tags), _folded(settings.spec_exclude_tags)
    operations = _folded(settings.spec_include_operations)
    for wanted, known, what in ((included | excluded, tags, "tag"), (operations, names, "operation")):
        if unknown := sorted(wanted - known):
            raise DocumentUnreadable(
                f"The document has no {what} {unknown[0][:60]!r}.", action=f"Choose of: {', '.join(sorted(known))}."
            )

    def is_chosen(one: Served) -> bool:
        if {one.row.id.casefold(), one.operation["operationId"].casefold()} & operations:
            return True
        own = {tag.casefold() for tag in _tags(one)}
        by_tag = bool(own & included) if included else not operations
        return by_tag and not own & excluded

    return [one for one in served if settings.wants(one.row.tags) and is_chosen(one)]


def _tags(one: Served) -> tuple[str, ...]:
    """An operation's tags in the catalogue and in the document."""
    return (*one.row.tags, *one.operation.get("tags", ()))


def _folded(names: tuple[str, ...]) -> set[str]:
    return {name.casefold() for name in names}


def _named(chosen: list[Served], naming: str, taken: Collection[str]) -> Iterator[tuple[str, Served]]:
    used = set(taken)
    for one in chosen:
        name = one.row.id if naming == "catalogue" else one.operation["operationId"].replace("-", "_")
        name = name[:_LONGEST_NAME].strip("_") or one.row.id
        # The catalogue's ids are unique and differ from each other with this before them too.
        name = f"call_{one.row.id}"[:_LONGEST_NAME] if name in used else name
        used.add(name)
        yield name, one
