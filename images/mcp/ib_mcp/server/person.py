"""The person behind the client of a call, on each wire of MCP."""

from __future__ import annotations

import anyio
import mcp_types
from fastmcp.server.context import Context
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from ib_mcp.trading.asking import ASK_S, AskFirst, Decision, IsOpen, Person, decision_of, form

ASKER = "ib_mcp.asker"
"""Where in the scope of a request the HTTP layer leaves who can ask on the older wire."""


def person_of(context: Context | None) -> Person | None:
    """Who can be asked in the present call; None where its client cannot ask."""
    asked = None if context is None else context.request_context
    if context is None or asked is None:
        return None
    capabilities = context.session.client_capabilities
    can_ask = capabilities is not None and _has_forms(capabilities.elicitation)
    if context.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _Again(context) if can_ask else None
    if isinstance(asked.request, Request):
        found: Person | None = asked.request.scope.get(ASKER)
        return found
    return _InSession(context) if can_ask else None


def _has_forms(elicitation: mcp_types.ElicitationCapability | None) -> bool:
    # Without a word on modes a client means forms.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


class _Again:
    """On the newer wire the question ends the call, and the answer comes with the next one."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ask(self, ticket: str, message: str, is_open: IsOpen) -> Decision | AskFirst | None:
        # By its ticket, so that an answer is about no other order.
        key = f"approval-{ticket}"
        answer = (self._context.input_responses or {}).get(key)
        if isinstance(answer, mcp_types.ElicitResult):
            return decision_of(answer.action, answer.content)
        request = mcp_types.ElicitRequest(method="elicitation/create", params=form(message))
        return AskFirst(mcp_types.InputRequiredResult(input_requests={key: request}))


class _InSession:
    """Over stdio, where server and client share one session."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def ask(self, ticket: str, message: str, is_open: IsOpen) -> Decision | AskFirst | None:
        asked = form(message)
        try:
            with anyio.fail_after(ASK_S):
                answer = await self._context.session.elicit_form(asked.message, asked.requested_schema)
        except (TimeoutError, MCPError):
            return None
        return decision_of(answer.action, answer.content)
