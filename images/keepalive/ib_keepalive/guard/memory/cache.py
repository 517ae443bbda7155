"""Answers kept for as long as the catalogue calls them fresh, bounded by bytes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from ibkr.operation import Operation

_MOST_BYTES = 24 * 1024 * 1024
_LARGEST = _MOST_BYTES // 3
# What an entry costs besides its content.
_ENTRY_BYTES = 512


# What is empty may only not have been there yet.
_EMPTY_S = 2.0


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """``fetched_at``: seconds of the loop's clock; ``is_empty``: nothing is in it."""

    endpoint: Operation
    content: bytes
    status: int
    fetched_at: float
    is_empty: bool = False

    @property
    def fresh_s(self) -> float:
        """For how long it is given to others."""
        return min(self.endpoint.fresh_s, _EMPTY_S) if self.is_empty else self.endpoint.fresh_s

    def body(self) -> Any:
        """The decoded JSON, None when there is none."""
        return json.loads(self.content) if self.content else None


class Cache:
    """The least recently used answers go first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[Hashable, CachedResponse] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, now: float) -> CachedResponse | None:
        """The answer, if it is still fresh."""
        cached = self._entries.get(key)
        if cached is None:
            return None
        if now - cached.fetched_at >= cached.fresh_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return cached

    def put(self, key: Hashable, cached: CachedResponse) -> None:
        if cached.endpoint.fresh_s <= 0 or len(cached.content) > min(_LARGEST, self._most_bytes):
            return
        self._drop(key)
        self._entries[key] = cached
        self.size += _ENTRY_BYTES + len(cached.content)
        while self.size > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def forget(self, operation: str) -> None:
        """Drop the answers of an operation."""
        for key in [key for key, cached in self._entries.items() if cached.endpoint.id == operation]:
            self._drop(key)

    def only(self, wanted: Callable[[Operation], bool]) -> Cache:
        """Another cache with the answers of the operations that are ``wanted``."""
        made = Cache(self._most_bytes)
        for key, cached in self._entries.items():
            if wanted(cached.endpoint):
                made.put(key, cached)
        return made

    def _drop(self, key: Hashable) -> None:
        cached = self._entries.pop(key, None)
        if cached is not None:
            self.size -= _ENTRY_BYTES + len(cached.content)
