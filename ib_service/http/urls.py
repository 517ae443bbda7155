"""Queries of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote

# What a query holds as it is; IBKR's gateway wants these marks so.
_KEPT = ",:@"
_PLAIN = re.compile(rf"[A-Za-z0-9_.~{_KEPT}-]*")


def query_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values as the query of a URL, encoded where that is needed."""
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)


def _encoded(text: str) -> str:
    # The library takes a dozen calls to find out that nothing is to be done.
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_KEPT)


def pairs_of(query: bytes, most: int) -> list[tuple[str, str]]:
    """Names and values of a URL's query, in their order. ValueError for more than ``most``, and for what is no text."""
    text = query.decode("ascii")
    if "%" in text or "+" in text or text.count("&") >= most:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    parts = [part.partition("=") for part in text.split("&") if part]
    return [(name, value) for name, _, value in parts]
