"""YAML as plain values, in the types of JSON: bounded in depth and in what its aliases stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import yaml

from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.mapping import merged

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_MERGE = "<<"
# Longer ones are no numbers of an API description, and reading them takes the square of their length.
_LONGEST_NUMBER = 64


class _Open:
    """A list or mapping whose end has not come."""

    def __init__(self, is_mapping: bool, anchor: str | None) -> None:
        self.items: list[Any] = []
        self.is_mapping = is_mapping
        self.anchor = anchor
        self.size = 1


def parse(content: bytes, repeated: list[str], *, deepest: int, most_values: int) -> Any:
    """The value of the document in ``content``; DocumentUnreadable says what is wrong.

    ``most_values`` counts what an alias stands for each time that it is used.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(repeated, deepest, most_values).read(yaml.parse(content, Loader=loader))
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1}, column {place.column + 1})" if place else ""
        raise DocumentUnreadable(f"The document is neither JSON nor YAML{where}.") from None


class _Reader:
    def __init__(self, repeated: list[str], deepest: int, most_values: int) -> None:
        self._repeated = repeated
        self._deepest = deepest
        self._left = most_values
        self._stack: list[_Open] = []
        self._known: dict[str, tuple[Any, int]] = {}

    def read(self, events: Any) -> Any:
        root: Any = None
        for event in events:
            cost = 1
            match event:
                case yaml.ScalarEvent():
                    value, size = _scalar(event), 1
                    self._remember(event.anchor, value, size)
                case yaml.AliasEvent():
                    value, size = self._alias(event.anchor or "")
                    cost = size
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    if len(self._stack) >= self._deepest:
                        raise DocumentUnreadable(f"The document is nested deeper than {self._deepest} levels.")
                    self._stack.append(_Open(isinstance(event, yaml.MappingStartEvent), event.anchor))
                    continue
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    part = self._stack.pop()
                    value, size = self._mapping(part.items) if part.is_mapping else part.items, part.size
                    self._remember(part.anchor, value, size)
                case _:
                    continue
            self._left -= cost
            if self._left < 0:
                raise DocumentUnreadable("The document holds more values than this version reads.")
            if not self._stack:
                if root is not None and value is not None:
                    raise DocumentUnreadable("The file holds several YAML documents.")
                root = value if root is None else root
                continue
            self._stack[-1].items.append(value)
            self._stack[-1].size += size
        return root

    def _alias(self, anchor: str) -> tuple[Any, int]:
        if any(part.anchor == anchor for part in self._stack):
            raise DocumentUnreadable("The document holds an alias that contains itself.")
        if anchor not in self._known:
            raise DocumentUnreadable(f"The document uses the alias {anchor[:40]!r} without defining it.")
        return self._known[anchor]

    def _remember(self, anchor: str | None, value: Any, size: int) -> None:
        if anchor:
            self._known[anchor] = value, size

    def _mapping(self, items: list[Any]) -> dict[str, Any]:
        pairs = []
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key == _MERGE:
                for part in value if isinstance(value, list) else [value]:
                    if isinstance(part, dict):
                        pairs += [pair for pair in part.items() if pair[0] not in items[::2]]
            elif isinstance(key, (dict, list)):
                raise DocumentUnreadable("The document has a key that is no text.")
            else:
                pairs.append((_KEYS.get(type(key), str)(key), value))
        return merged(pairs, self._repeated)


_KEYS: dict[type, Callable[[Any], str]] = {bool: lambda key: str(key).lower(), type(None): lambda _: "null"}


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if event.style is not None and event.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text) and isfinite(number := float(text)):
            return number
    return text
