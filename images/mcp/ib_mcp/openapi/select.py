"""Which operations of a repaired document IBKR's gateway serves, and as which row of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ib_mcp.openapi.repair.operations import METHODS
from ibkr import catalogue, not_served
from ibkr.catalogue import Catalogue
from ibkr.operation import Operation

PREFIX = "/v1/api"
_VARIABLE = re.compile(r"\{[^{}/]*\}")


class Served(NamedTuple):
    """An operation of the document with the catalogue's row of it."""

    path: str
    method: str
    operation: dict[str, Any]
    row: Operation


class Left(NamedTuple):
    """An operation that the guard does not let through, and why; ``is_new``: the catalogue has no word on it."""

    path: str
    method: str
    reason: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Every operation of a document: served, or left with the reason."""

    served: tuple[Served, ...]
    left: tuple[Left, ...]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in capitals and operation of a repaired document, in its order."""
    for path, item in document["paths"].items():
        if not path.startswith("x-"):
            for method in METHODS:
                if method in item:
                    yield path, method.upper(), item[method]


def select(document: dict[str, Any], known: Catalogue | None = None) -> Selection:
    """The operations of a repaired ``document``, matched with the rows of ``known``."""
    rows = _Rows(catalogue.load() if known is None else known)
    served: list[Served] = []
    left: list[Left] = []
    taken: set[str] = set()
    for path, method, operation in operations(document):
        row = rows.find(method, path)
        if row is None:
            left.append(_unknown(path, method))
        elif row.status == "unsupported":
            left.append(Left(path, method, row.reason))
        elif row.id in taken:
            left.append(Left(path, method, f"The document has {row.id} a second time."))
        else:
            taken.add(row.id)
            served.append(Served(path, method, operation, row))
    return Selection(tuple(served), tuple(left))


def without_prefix(path: str) -> str:
    """A path as the catalogue writes it: documents before 2.39 leave the prefix out, later ones have it."""
    bare = path.removeprefix(PREFIX) if path.startswith(PREFIX + "/") else path
    return bare.rstrip("/") or "/"


def _unknown(path: str, method: str) -> Left:
    bare = without_prefix(path) + "/"
    for elsewhere in not_served.load():
        if bare.startswith(elsewhere.prefix + "/"):
            return Left(path, method, f"IBKR's gateway serves nothing under {elsewhere.prefix}. {elsewhere.reason}")
    return Left(path, method, "It is not in this version's catalogue, and the guard lets through what is.", is_new=True)


class _Rows:
    """Rows of the catalogue by method and shape; names of variables decide between two of one shape."""

    def __init__(self, known: Catalogue) -> None:
        self._rows: dict[tuple[str, str], list[Operation]] = {}
        for row in known:
            self._rows.setdefault((row.method, _VARIABLE.sub("{}", row.path)), []).append(row)

    def find(self, method: str, path: str) -> Operation | None:
        bare = without_prefix(path)
        rows = self._rows.get((method, _VARIABLE.sub("{}", bare)), [])
        named = [row for row in rows if row.path.casefold() == bare.casefold()]
        return next(iter(named or sorted(rows, key=lambda row: row.status == "unsupported")), None)
