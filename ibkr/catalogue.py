"""The endpoint catalogue: one row per operation that IBKR's gateway serves (data in ``endpoints.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Method = Literal["GET", "POST", "PUT", "DELETE"]
Tier = Literal["none", "sso", "brokerage"]
Effect = Literal["read", "preview", "session", "safety", "write", "trade", "charge", "stream"]
Support = Literal["supported", "tested", "unsupported"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path, query or body parameter; ``required`` as the live API wants it, not as the document says."""

    name: str
    required: bool


@dataclass(frozen=True, slots=True)
class Pacing:
    """``calls`` per ``seconds``."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. ``path`` is a template without the ``/v1/api`` prefix, e.g. ``/portfolio/{accountId}/meta``.

    ``fresh_s``: how long an answer may be shared between callers. ``concurrent``: calls at the same time.
    ``preflight``: ids of operations that must have been called once in this brokerage session.
    """

    id: str
    method: Method
    path: str
    title: str
    tags: tuple[str, ...]
    tier: Tier
    effect: Effect
    status: Support
    reason: str
    pacing: Pacing | None
    concurrent: int | None
    fresh_s: float
    preflight: tuple[str, ...]
    query: tuple[Parameter, ...]
    body: tuple[Parameter, ...]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


class Catalogue:
    """All rows, by id and by shape."""

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self._by_id = {endpoint.id: endpoint for endpoint in endpoints}
        if len(self._by_id) != len(endpoints):
            raise ValueError("endpoint ids are not unique")
        self._literal: dict[tuple[str, str], Endpoint] = {}
        self._shaped: dict[tuple[str, int], list[tuple[tuple[str, ...], Endpoint]]] = {}
        for endpoint in endpoints:
            parts = tuple(endpoint.path.split("/"))
            if endpoint.path_parameters:
                self._shaped.setdefault((endpoint.method, len(parts)), []).append((parts, endpoint))
            else:
                self._literal[endpoint.method, endpoint.path] = endpoint

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __getitem__(self, endpoint_id: str) -> Endpoint:
        return self._by_id[endpoint_id]

    def get(self, endpoint_id: str) -> Endpoint | None:
        return self._by_id.get(endpoint_id)

    def match(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The operation that ``method path`` (without prefix) names and its path parameters, or None.

        Literal paths win over templates; a template variable matches one non-empty segment.
        """
        literal = self._literal.get((method, path))
        if literal is not None:
            return literal, {}
        given = tuple(path.split("/"))
        best: tuple[int, Endpoint, dict[str, str]] | None = None
        for parts, endpoint in self._shaped.get((method, len(given)), ()):
            values: dict[str, str] = {}
            for part, value in zip(parts, given, strict=True):
                if part.startswith("{") and value:
                    values[part[1:-1]] = value
                elif part != value:
                    break
            else:
                if best is None or len(values) < best[0]:
                    best = (len(values), endpoint, values)
        return None if best is None else best[1:]


def _parameters(names: list[str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name.removesuffix("*"), name.endswith("*")) for name in names)


def _endpoint(row: dict[str, Any]) -> Endpoint:
    calls, _, seconds = row.get("pacing", "").partition("/")
    return Endpoint(
        id=row["id"],
        method=row["method"],
        path=row["path"],
        title=row["title"],
        tags=tuple(row["tags"]),
        tier=row["tier"],
        effect=row["effect"],
        status=row.get("status", "supported"),
        reason=row.get("reason", ""),
        pacing=Pacing(int(calls), float(seconds)) if calls else None,
        concurrent=row.get("concurrent"),
        fresh_s=row.get("fresh_s", 0.0),
        preflight=tuple(row.get("preflight", ())),
        query=_parameters(row.get("query", [])),
        body=_parameters(row.get("body", [])),
    )


@cache
def load() -> Catalogue:
    """The catalogue shipped with this package, read once."""
    text = files("ibkr").joinpath("endpoints.toml").read_text("utf-8")
    return Catalogue(tuple(_endpoint(row) for row in tomllib.loads(text)["endpoint"]))
