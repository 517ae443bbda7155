"""OpenAPI documents: of the catalogue, of two public APIs as others wrote them, and three of our own in such manner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ibkr import catalogue
from ibkr.operation import Operation

_FOLDER = Path(__file__).parent
SHOP, PAYMENTS = _FOLDER / "shop.yaml", _FOLDER / "payments.yaml"
WEATHER, BROKER = _FOLDER / "weather.yaml", _FOLDER / "broker.yaml"
LIBRARY = _FOLDER / "library.yaml"
OF_OTHERS = (SHOP, PAYMENTS, WEATHER, BROKER, LIBRARY)


def all_of_them() -> list[dict[str, Any]]:
    return [read(path) for path in OF_OTHERS]


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return document


def of_catalogue() -> dict[str, Any]:
    """Every row of the catalogue, all parameters texts, as broken as IBKR's: no ids, no types, lists as numbers."""
    paths: dict[str, Any] = {}
    for row in catalogue.load():
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {"openapi": "3.0.0", "info": {"title": "All", "version": "1"}, "paths": paths}


def _operation(row: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [{"name": name, "in": "path"} for name in row.path_parameters]
    parameters += [{"name": one.name, "in": "query", "schema": {"type": "integer"}} for one in row.query]
    made: dict[str, Any] = {"tags": [f"Trading {row.tags[0]}"], "parameters": parameters, "responses": {}}
    if row.body:
        schema = {"properties": {one.name: {} for one in row.body}}
        made["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return made
