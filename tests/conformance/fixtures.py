"""The tools, resources and prompts that the official conformance suite asks a server to have."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from typing import Any

import anyio
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message, PromptResult
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.tools import ToolResult
from mcp import types as t
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAVE_FILE = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\2\0\0\0\x80\x80"
WAV = base64.b64encode(WAVE_FILE).decode()


def add_fixtures(server: FastMCP) -> None:
    """Everything the suite calls by name, added to ``server``."""
    _add_contents(server)
    _add_questions(server)
    _add_resources(server)
    _add_prompts(server)


def _text(text: str) -> t.TextContent:
    return t.TextContent(type="text", text=text)


def _picture() -> t.ImageContent:
    return t.ImageContent(type="image", data=PNG, mime_type="image/png")


def _embedded(uri: str, mime_type: str, text: str) -> t.EmbeddedResource:
    contents = t.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return t.EmbeddedResource(type="resource", resource=contents)


def _add_contents(server: FastMCP) -> None:
    @server.tool
    async def test_simple_text() -> ToolResult:
        """Plain text."""
        return ToolResult(content=[_text("This is a simple text response for testing.")])

    @server.tool
    async def test_image_content() -> ToolResult:
        """A picture."""
        return ToolResult(content=[_picture()])

    @server.tool
    async def test_audio_content() -> ToolResult:
        """A sound."""
        return ToolResult(content=[t.AudioContent(type="audio", data=WAV, mime_type="audio/wav")])

    @server.tool
    async def test_embedded_resource() -> ToolResult:
        """A resource inside the answer."""
        resource = _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        return ToolResult(content=[resource])

    @server.tool
    async def test_multiple_content_types() -> ToolResult:
        """Text, picture and resource in one answer."""
        document = json.dumps({"test": "data", "value": 123})
        resource = _embedded("test://mixed-content-resource", "application/json", document)
        return ToolResult(content=[_text("Multiple content types test:"), _picture(), resource])

    @server.tool
    async def test_error_handling() -> str:
        """Always fails."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool
    async def test_tool_with_progress(ctx: Context) -> str:
        """Reports progress three times."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await anyio.sleep(0.05)
        return "done"

    @server.tool
    async def test_logging_tool(ctx: Context) -> str:
        """Would log to a client that asked for it."""
        with warnings.catch_warnings(category=MCPDeprecationWarning, action="ignore"):
            await ctx.info("not asked for")
        return "logged"


def _form(message: str, field: str, kind: str) -> t.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return t.ElicitRequest(
        method="elicitation/create", params=t.ElicitRequestFormParams(message=message, requested_schema=schema)
    )


def _sample(question: str, max_tokens: int) -> t.CreateMessageRequest:
    message = t.SamplingMessage(role="user", content=_text(question))
    return t.CreateMessageRequest(
        method="sampling/createMessage", params=t.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def _roots() -> t.ListRootsRequest:
    return t.ListRootsRequest(method="roots/list", params=t.RequestParams())


def _ask(requests: Mapping[str, Any], state: str | None = None) -> t.InputRequiredResult:
    return t.InputRequiredResult(input_requests=dict(requests), request_state=state)


def _add_questions(server: FastMCP) -> None:
    @server.tool
    async def test_input_required_result_elicitation(ctx: Context) -> str | t.InputRequiredResult:
        """Asks for a name."""
        given = (ctx.input_responses or {}).get("user_name")
        content = given.content if isinstance(given, t.ElicitResult) else None
        if not content or "name" not in content:
            return _ask({"user_name": _form("What is your name?", "name", "string")})
        return f"Hello, {content['name']}!"

    @server.tool
    async def test_input_required_result_sampling(ctx: Context) -> str | t.InputRequiredResult:
        """Asks the client's model."""
        given = (ctx.input_responses or {}).get("capital_question")
        if not isinstance(given, t.CreateMessageResult) or not isinstance(given.content, t.TextContent):
            return _ask({"capital_question": _sample("What is the capital of France?", 100)})
        return given.content.text

    @server.tool
    async def test_input_required_result_list_roots(ctx: Context) -> str | t.InputRequiredResult:
        """Asks for the client's roots."""
        given = (ctx.input_responses or {}).get("client_roots")
        if not isinstance(given, t.ListRootsResult):
            return _ask({"client_roots": _roots()})
        return ", ".join(str(root.uri) for root in given.roots)

    @server.tool
    async def test_input_required_result_request_state(ctx: Context) -> str | t.InputRequiredResult:
        """Asks once and checks that its own state comes back."""
        if not ctx.input_responses or ctx.request_state != "round 1":
            return _ask({"confirm": _form("Please confirm", "ok", "boolean")}, state="round 1")
        return "state-ok"

    @server.tool
    async def test_input_required_result_tampered_state(ctx: Context) -> str | t.InputRequiredResult:
        """Asks once; a changed state is refused before it gets here."""
        if not ctx.input_responses:
            return _ask({"confirm": _form("Please confirm", "ok", "boolean")}, state="sealed")
        return "state-ok"

    @server.tool
    async def test_input_required_result_multiple_inputs(ctx: Context) -> str | t.InputRequiredResult:
        """Asks three things at once."""
        wanted = {
            "user_name": _form("What is your name?", "name", "string"),
            "greeting": _sample("Generate a greeting", 50),
            "client_roots": _roots(),
        }
        if not wanted.keys() <= (ctx.input_responses or {}).keys():
            return _ask(wanted, state="asked")
        return "all answered"

    @server.tool
    async def test_input_required_result_multi_round(ctx: Context) -> str | t.InputRequiredResult:
        """Asks twice, one after the other."""
        given = ctx.input_responses or {}
        if ctx.request_state == "name given" and "step2" in given:
            return "both answered"
        if ctx.request_state == "asked for name" and "step1" in given:
            question = _form("Step 2: What is your favorite color?", "color", "string")
            return _ask({"step2": question}, state="name given")
        return _ask({"step1": _form("Step 1: What is your name?", "name", "string")}, state="asked for name")

    @server.tool
    async def test_input_required_result_capabilities(ctx: Context) -> str | t.InputRequiredResult:
        """Asks only what the client can answer."""
        able = _capabilities(ctx)
        wanted: dict[str, Any] = {}
        if able.elicitation is not None:
            wanted["user_name"] = _form("What is your name?", "name", "string")
        if able.sampling is not None:
            wanted["greeting"] = _sample("Generate a greeting", 50)
        return "nothing to ask" if ctx.input_responses or not wanted else _ask(wanted)

    @server.tool
    async def test_missing_capability(ctx: Context) -> str:
        """Needs a client that can sample."""
        if _capabilities(ctx).sampling is None:
            raise MCPError(
                code=t.MISSING_REQUIRED_CLIENT_CAPABILITY,
                message="This tool needs sampling",
                data={"requiredCapabilities": {"sampling": {}}},
            )
        return "the client can sample"

    @server.tool
    async def test_streaming_elicitation(ctx: Context) -> str | t.InputRequiredResult:
        """Reports progress, then asks."""
        await ctx.report_progress(1, 2)
        return "done" if ctx.input_responses else _ask({"confirm": _form("Please confirm", "ok", "boolean")})


def _capabilities(ctx: Context) -> t.ClientCapabilities:
    client = ctx.session.client_params
    return client.capabilities if client is not None else t.ClientCapabilities()


def _add_resources(server: FastMCP) -> None:
    @server.resource("test://static-text", description="Text", mime_type="text/plain")
    async def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="Bytes", mime_type="image/png")
    async def static_binary() -> ResourceResult:
        return ResourceResult([ResourceContent(base64.b64decode(PNG), mime_type="image/png")])

    @server.resource("test://template/{id}/data", description="By id", mime_type="application/json")
    async def template_data(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(server: FastMCP) -> None:
    @server.prompt
    async def test_simple_prompt() -> str:
        """Without arguments."""
        return "This is a simple prompt for testing."

    @server.prompt
    async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """With two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt
    async def test_prompt_with_embedded_resource(resourceUri: str) -> PromptResult:  # noqa: N803
        """With a resource in it."""
        resource = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return PromptResult([Message(resource), Message("Please process the embedded resource above.")])

    @server.prompt
    async def test_prompt_with_image() -> PromptResult:
        """With a picture in it."""
        return PromptResult([Message(_picture()), Message("Please analyze the image above.")])

    @server.prompt
    async def test_input_required_result_prompt(ctx: Context) -> PromptResult | t.InputRequiredResult:
        """Asks for its context."""
        given = (ctx.input_responses or {}).get("user_context")
        content = given.content if isinstance(given, t.ElicitResult) else None
        if not content:
            question = _form("What context should the prompt use?", "context", "string")
            return _ask({"user_context": question})
        return PromptResult(f"The context is {content['context']}.")

    @server.completion
    async def complete(ref: Any, argument: t.CompletionArgument, context: Any) -> list[str]:
        return [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
