"""The catalogue of operations: one row per operation that IBKR's gateway serves (data in ``endpoints.toml``)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any

from ibkr.operation import Operation, Pacing, Parameter
from ibkr.search import Index


class Catalogue:
    """All rows, by id and by shape."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._by_id = {operation.id: operation for operation in operations}
        if len(self._by_id) != len(operations):
            raise ValueError("operation ids are not unique")
        self._literal: dict[tuple[str, str], Operation] = {}
        self._shaped: dict[tuple[str, int], list[tuple[tuple[str, ...], Operation]]] = {}
        # Unsupported rows come last, so that they never hide a supported one of the same shape.
        for operation in sorted(operations, key=lambda operation: operation.status == "unsupported"):
            parts = tuple(operation.path.split("/"))
            if operation.path_parameters:
                self._shaped.setdefault((operation.method, len(parts)), []).append((parts, operation))
            else:
                self._literal[operation.method, operation.path] = operation

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __getitem__(self, operation_id: str) -> Operation:
        return self._by_id[operation_id]

    def get(self, operation_id: str) -> Operation | None:
        return self._by_id.get(operation_id)

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that ``method path`` (without prefix) names and its path parameters, or None.

        Literal paths win over templates; a template variable matches one non-empty segment.
        """
        literal = self._literal.get((method, path))
        if literal is not None:
            return literal, {}
        given = tuple(path.split("/"))
        best: tuple[int, Operation, dict[str, str]] | None = None
        for parts, operation in self._shaped.get((method, len(given)), ()):
            values: dict[str, str] = {}
            for part, value in zip(parts, given, strict=True):
                if part.startswith("{") and value:
                    values[part[1:-1]] = value
                elif part != value:
                    break
            else:
                if best is None or len(values) < best[0]:
                    best = (len(values), operation, values)
        return None if best is None else best[1:]

    @cached_property
    def _index(self) -> Index:
        return Index(self)

    def search(self, words: str) -> list[Operation]:
        """Operations that share a word with ``words`` in id, title, tags, path or parameters, best first."""
        return self._index.search(words)


def _parameters(names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name.removesuffix("*"), name.endswith("*")) for name in names.split())


def _pacing(text: str) -> Pacing | None:
    calls, _, seconds = text.partition("/")
    return Pacing(int(calls), float(seconds)) if calls else None


def _operation(operation_id: str, row: dict[str, Any]) -> Operation:
    """A row as an Operation; TypeError for a column that does not exist or is missing."""
    method, _, path = row.pop("call").partition(" ")
    tier = row.pop("tier")
    return Operation(
        id=operation_id,
        method=method,
        path=path,
        tags=tuple(row.pop("tags")),
        tier=tier.removesuffix("?"),
        tier_assumed=tier.endswith("?"),
        pacing=_pacing(row.pop("pacing", "")),
        share=_pacing(row.pop("share", "")),
        answers_within_s=float(row.pop("answers_within_s", 15)),
        fresh_s=float(row.pop("fresh_s", 0)),
        preflight=tuple(row.pop("preflight", ())),
        query=_parameters(row.pop("query", "")),
        body=_parameters(row.pop("body", "")),
        **row,
    )


def parse(text: str) -> Catalogue:
    """The catalogue that ``text``, in the layout of ``endpoints.toml``, describes."""
    return Catalogue(tuple(_operation(operation_id, row) for operation_id, row in tomllib.loads(text).items()))


@cache
def load() -> Catalogue:
    """The catalogue shipped with this package, read once."""
    # importlib.resources would cost as much time as the rest of the loading together.
    with open(os.path.join(os.path.dirname(__file__), "endpoints.toml"), encoding="utf-8") as file:
        return parse(file.read())
