"""What IBKR publishes of its operations, kept beside the repository and never in it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(os.environ.get("IB_MCP_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "ibkr-openapi"
_METHODS = ("get", "post", "put", "delete")


def is_here() -> bool:
    return _FOLDER.is_dir()


def _folder() -> Path:
    if not is_here():
        pytest.skip(f"IBKR's published documents are not at {_FOLDER}; IB_MCP_SHARED names the folder that holds data/")
    return _FOLDER


def operations() -> dict[tuple[str, str], dict[str, str]]:
    """The rows of operations.tsv that the gateway serves, by method and path."""
    with (_folder() / "operations.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {(row["method"], row["path"]): row for row in rows if row["via_gateway"] == "yes"}


def paths() -> list[Path]:
    """The published documents, the oldest first."""
    return sorted(_folder().glob("ib-rest-api-*.json"))


def documents() -> Iterator[dict[str, Any]]:
    for path in paths():
        yield json.loads(path.read_text("utf-8"))


def parameters() -> dict[tuple[str, str], tuple[set[str], set[str]]]:
    """Query and body parameter names by method and lower-case path, from the newest document."""
    *_, document = documents()

    def resolved(part: Any) -> Any:
        while "$ref" in part:
            target: Any = document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            part = target
        return part

    found = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if operation := item.get(method):
                query = {p["name"] for p in map(resolved, operation.get("parameters", ())) if p["in"] == "query"}
                body: set[str] = set()
                for content in resolved(operation.get("requestBody", {})).get("content", {}).values():
                    body |= set(resolved(content.get("schema", {})).get("properties", {}))
                found[method.upper(), path.lower()] = (query, body)
    return found


def field_numbers() -> set[str]:
    """The numbers of market-data fields that the newest document lists."""
    *_, document = documents()
    lists = [
        schema["enum"] for schema in document["components"]["schemas"].values() if "7762" in schema.get("enum", ())
    ]
    return {number for numbers in lists for number in numbers}
