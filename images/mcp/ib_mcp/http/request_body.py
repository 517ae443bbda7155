"""Reading the body of a request that is handed on afterwards."""

from __future__ import annotations

from starlette.types import Message, Receive


async def whole(receive: Receive) -> list[Message]:
    """All messages of a body, which others have bounded."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages
