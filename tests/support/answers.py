"""What the answer of a tool call holds."""

from __future__ import annotations

import json
from typing import Any


def body_of(result: Any) -> dict[str, Any]:
    """The JSON of a client's result: it stands in the text, once."""
    assert result.structured_content is None
    body: dict[str, Any] = json.loads(next(part.text for part in result.content if part.type == "text"))
    return body
