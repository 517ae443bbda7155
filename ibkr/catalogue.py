"""The endpoint catalogue: one row per operation that IBKR's gateway serves (data in ``endpoints.toml``)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ibkr.search import Index

Method = Literal["GET", "POST", "PUT", "DELETE"]
Tier = Literal["none", "sso", "brokerage"]
Effect = Literal["read", "preview", "session", "safety", "write", "trade", "charge", "stream"]
Support = Literal["supported", "tested", "unsupported"]

TAGS = (
    "Session",
    "Portfolio",
    "Portfolio Analyst",
    "Contract",
    "Options Chains",
    "Market Data",
    "Scanner",
    "Watchlists",
    "Alerts",
    "Order Monitoring",
    "Orders",
    "FYIs and Notifications",
    "Events Contracts",
    "FA Allocation Management",
)


# Named tuples, because importing dataclasses would take a fifth of the time of loading the catalogue.
class Parameter(NamedTuple):
    """A path, query or body parameter; ``required`` as the live API wants it, not as the document says."""

    name: str
    required: bool


class Pacing(NamedTuple):
    """``calls`` per ``seconds``."""

    calls: int
    seconds: float


class Endpoint(NamedTuple):
    """One operation. ``path`` is a template without the ``/v1/api`` prefix, e.g. ``/portfolio/{accountId}/meta``.

    ``fresh_s``: how long an answer may be shared between callers; 0 = never. ``concurrent``: calls at the same time.
    ``preflight``: ids of operations that must have been called once in this brokerage session; those that need no
    arguments (``needs_arguments``) can be made on a caller's behalf.
    ``warms_up``: the first answers of a session may be empty or lack fields, the same call a second later has them.
    ``limits``: by parameter, the most entries of a list or the largest value of a number.
    ``tier_assumed``: IBKR does not document the tier. ``reason``: why it is unsupported, or what is doubtful about it.
    """

    id: str
    method: Method
    path: str
    title: str
    tags: tuple[str, ...]
    tier: Tier
    effect: Effect
    status: Support = "supported"
    reason: str = ""
    pacing: Pacing | None = None
    concurrent: int | None = None
    fresh_s: float = 0.0
    preflight: tuple[str, ...] = ()
    query: tuple[Parameter, ...] = ()
    body: tuple[Parameter, ...] = ()
    warms_up: bool = False
    limits: Mapping[str, int] = MappingProxyType({})
    tier_assumed: bool = False

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def needs_arguments(self) -> bool:
        """Whether a call without any argument is refused."""
        return bool(self.path_parameters) or any(parameter.required for parameter in (*self.query, *self.body))


class Catalogue:
    """All rows, by id and by shape."""

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self._by_id = {endpoint.id: endpoint for endpoint in endpoints}
        if len(self._by_id) != len(endpoints):
            raise ValueError("endpoint ids are not unique")
        self._literal: dict[tuple[str, str], Endpoint] = {}
        self._shaped: dict[tuple[str, int], list[tuple[tuple[str, ...], Endpoint]]] = {}
        # Unsupported rows come last, so that they never hide a supported one of the same shape.
        for endpoint in sorted(endpoints, key=lambda endpoint: endpoint.status == "unsupported"):
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

    @cached_property
    def _index(self) -> Index:
        return Index(self)

    def search(self, words: str) -> list[Endpoint]:
        """Operations that share a word with ``words`` in id, title, tags, path or parameters, best first."""
        return self._index.search(words)


def _parameters(names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name.removesuffix("*"), name.endswith("*")) for name in names.split())


def _endpoint(endpoint_id: str, row: dict[str, Any]) -> Endpoint:
    """A row as an Endpoint; TypeError for a column that does not exist or is missing."""
    method, _, path = row.pop("call").partition(" ")
    tier = row.pop("tier")
    calls, _, seconds = row.pop("pacing", "").partition("/")
    return Endpoint(
        id=endpoint_id,
        method=method,
        path=path,
        tags=tuple(row.pop("tags")),
        tier=tier.removesuffix("?"),
        tier_assumed=tier.endswith("?"),
        pacing=Pacing(int(calls), float(seconds)) if calls else None,
        fresh_s=float(row.pop("fresh_s", 0)),
        preflight=tuple(row.pop("preflight", ())),
        query=_parameters(row.pop("query", "")),
        body=_parameters(row.pop("body", "")),
        **row,
    )


def parse(text: str) -> Catalogue:
    """The catalogue that ``text``, in the layout of ``endpoints.toml``, describes."""
    return Catalogue(tuple(_endpoint(endpoint_id, row) for endpoint_id, row in tomllib.loads(text).items()))


@cache
def load() -> Catalogue:
    """The catalogue shipped with this package, read once."""
    # importlib.resources would cost as much time as the rest of the loading together.
    with open(os.path.join(os.path.dirname(__file__), "endpoints.toml"), encoding="utf-8") as file:
        return parse(file.read())
