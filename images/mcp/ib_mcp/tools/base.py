"""How a plain function becomes an MCP tool: small schema, checked arguments, one compact answer."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

import mcp_types
from fastmcp.tools.base import Tool, ToolResult
from pydantic import PrivateAttr, TypeAdapter, ValidationError
from pydantic_core import to_json

from ib_mcp.context import ToolContext
from ib_mcp.guard import gateway_choice
from ibkr.errors import InvalidRequest
from ibkr.operation import Effect

_MOST_PROBLEMS = 3
GATEWAY = "gateway"
# What a model takes for granted: nothing by default, and no count below none or one.
_EVIDENT = (("default", None), ("minimum", 0), ("minimum", 1), ("minItems", 1))

Answer = dict[str, Any]
Function = Callable[..., Awaitable[Answer | ToolResult]]
Marked = TypeVar("Marked", bound=Function)


@dataclass(frozen=True, slots=True)
class Marks:
    tags: frozenset[str]
    effect: Effect


_READS = mcp_types.ToolAnnotations(read_only_hint=True, open_world_hint=True)
_CHANGES_SESSION = mcp_types.ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
_WRITES = mcp_types.ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)


def annotations_of(effect: Effect) -> mcp_types.ToolAnnotations:
    """What a client may think of a tool with this effect."""
    return {"read": _READS, "preview": _READS, "session": _CHANGES_SESSION}.get(effect, _WRITES)


def read_tool(*tags: str) -> Callable[[Marked], Marked]:
    """Mark a function as a tool that changes nothing; its docstring is what the model reads."""
    return _mark(tags, "read")


def session_tool(*tags: str) -> Callable[[Marked], Marked]:
    """Mark a function as a tool that changes nothing but the session."""
    return _mark(tags, "session")


def write_tool(*tags: str) -> Callable[[Marked], Marked]:
    """Mark a function as a tool that changes what IBKR keeps for the user."""
    return _mark(tags, "write")


def order_tool(effect: Literal["preview", "trade"]) -> Callable[[Marked], Marked]:
    """Mark a function as a tool that previews orders, or that sends, changes or stops them."""
    return _mark(("Orders",), effect)


def _mark(tags: tuple[str, ...], effect: Effect) -> Callable[[Marked], Marked]:
    def mark(function: Marked) -> Marked:
        function.marks = Marks(frozenset(tags), effect)  # type: ignore[attr-defined]
        return function

    return mark


def tags_of(function: Function) -> frozenset[str]:
    marks: Marks = function.marks  # type: ignore[attr-defined]
    return marks.tags


def effect_of(function: Function) -> Effect:
    marks: Marks = function.marks  # type: ignore[attr-defined]
    return marks.effect


def description_of(function: Function) -> str:
    return " ".join(inspect.cleandoc(function.__doc__ or "").split())


def schema_of(function: Function) -> dict[str, Any]:
    """Of the arguments, as models see it."""
    return small_schema(_arguments(function, None).json_schema())


def _arguments(function: Function, context: ToolContext | None) -> TypeAdapter[Any]:
    """Checks the arguments of a call and begins it."""
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    arguments = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(signature.parameters.values())[1:]
    ]

    def bound(**given: Any) -> Awaitable[Any]:
        return function(context, **given)

    bound.__signature__ = signature.replace(parameters=arguments, return_annotation=Any)  # type: ignore[attr-defined]
    bound.__annotations__ = {parameter.name: parameter.annotation for parameter in arguments}
    return TypeAdapter(bound)  # type: ignore[arg-type]


class Effective(Tool):
    """A tool of this server, whose ``effect`` decides who may call it."""

    effect: Effect = "read"

    def to_mcp_tool(self, **overrides: Any) -> mcp_types.Tool:
        # FastMCP would repeat the tags here. The title stays: some clients drop tools without one.
        return mcp_types.Tool(
            name=overrides.get("name", self.name),
            title=self.title,
            description=self.description,
            input_schema=self.parameters,
            annotations=self.annotations,
        )


def offer_gateways(parameters: dict[str, Any], context: ToolContext) -> None:
    """Let the arguments of a tool name one of several gateways; with one alone there is nothing to name."""
    if context.settings.extra_guards:
        parameters["properties"].setdefault(GATEWAY, {"enum": list(context.settings.gateways)})


class BoundTool(Effective):
    """A tool bound to the context of one server."""

    _call: TypeAdapter[Any] = PrivateAttr()
    _may_name_gateway: bool = PrivateAttr()

    @classmethod
    def bind(cls, function: Function, context: ToolContext) -> BoundTool:
        """``function``'s first parameter gets ``context``, the others are the tool's arguments."""
        adapter = _arguments(function, context)
        marks: Marks = function.marks  # type: ignore[attr-defined]
        tool = cls(
            name=function.__name__,
            title=function.__name__.replace("_", " ").capitalize(),
            description=description_of(function),
            parameters=small_schema(adapter.json_schema()),
            tags=set(marks.tags),
            annotations=annotations_of(marks.effect),
            effect=marks.effect,
        )
        offer_gateways(tool.parameters, context)
        tool._call, tool._may_name_gateway = adapter, GATEWAY in tool.parameters["properties"]
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        if self._may_name_gateway:
            arguments = gateway_choice.take(arguments)
        try:
            pending = self._call.validate_python(arguments)
        except ValidationError as error:
            names = ", ".join(self.parameters["properties"]) or "none"
            raise InvalidRequest(f"Wrong arguments: {_said(error)}.", action=f"The arguments are: {names}.") from None
        with gateway_choice.collected() as gateways:
            answer = await pending
        if isinstance(answer, ToolResult):
            return answer
        return result(with_gateways(answer, gateways))


def with_gateways(answer: Answer, gateways: Collection[str]) -> Answer:
    """``answer`` with those of several gateways that answered what is about no account."""
    return answer | {GATEWAY: ", ".join(sorted(gateways))} if gateways else answer


def result(answer: Answer, *, is_error: bool = False) -> ToolResult:
    """The same JSON as text and as structured content."""
    text = to_json(answer).decode()
    return ToolResult.model_construct(
        content=[mcp_types.TextContent(type="text", text=text)],
        structured_content=answer,
        meta=None,
        is_error=is_error,
    )


def with_picture(answer: Answer, picture: bytes) -> ToolResult:
    """A PNG before the answer."""
    image = mcp_types.ImageContent(type="image", data=base64.b64encode(picture).decode(), mime_type="image/png")
    return ToolResult(content=[image, *result(answer).content], structured_content=answer)


def small_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` without titles, text lengths, null alternatives and the evident; models read it, not validators."""

    def small(node: Any) -> Any:
        if isinstance(node, list):
            return [small(item) for item in node]
        if not isinstance(node, dict):
            return node
        kept = {
            name: {key: small(value) for key, value in node[name].items()}
            if name == "properties"
            else small(node[name])
            for name in node
            if name not in ("title", "minLength", "maxLength") and (name, node[name]) not in _EVIDENT
        }
        options = [option for option in kept.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            del kept["anyOf"]
            kept = {**options[0], **kept}
        elif options:
            kept["anyOf"] = options
        return kept

    reduced: dict[str, Any] = small(schema)
    reduced.pop("additionalProperties", None)
    return reduced


def _said(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_PROBLEMS]
    return "; ".join(f"{'.'.join(map(str, problem['loc']))[:40]}: {problem['msg'][:120]}" for problem in problems)
