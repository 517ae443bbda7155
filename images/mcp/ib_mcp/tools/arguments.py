"""Parameters that several tools have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ib_mcp.market.notation import EXAMPLES


def _listed(value: Any) -> Any:
    """Models send a list as one text with commas, or a single number."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(value)] if isinstance(value, int) else value


def _worded(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Account = str | None
Text = Annotated[str, BeforeValidator(_worded)]
Symbol = Annotated[str, BeforeValidator(_worded), Field(min_length=1, max_length=120, description=EXAMPLES)]
Symbols = Annotated[
    list[Text], BeforeValidator(_listed), Field(min_length=1, max_length=100, description=f"each {EXAMPLES}")
]
Names = Annotated[list[str], BeforeValidator(_listed)]
Limit = Annotated[int, Field(ge=1, le=1000)]
# 'more' of the last answer; the server's instructions say so once for all tools.
Cursor = Annotated[str | None, BeforeValidator(_worded)]
