"""Texts that somebody outside wrote."""

from __future__ import annotations

import html
import re
from typing import Any

_TAG = re.compile(r"<[^>]*>")


def untrusted(text: Any, longest: int = 2000) -> str:
    """Text that somebody outside wrote, without markup; models must take it as data only."""
    words = " ".join(html.unescape(_TAG.sub(" ", str(text or ""))).split())
    return words if len(words) <= longest else words[: longest - 1] + "…"
