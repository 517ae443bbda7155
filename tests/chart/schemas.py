"""JSON schemas for kubeconform, made from Kubernetes' own API description: unknown fields are refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

Definitions = dict[str, dict[str, Any]]
LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"


def write(swagger: Path, folder: Path) -> None:
    """One file for each kind of ``swagger`` in ``folder``, named as :data:`LOCATION` says."""
    definitions: Definitions = json.loads(swagger.read_text())["definitions"]
    strict = {name: _strict(definition) for name, definition in definitions.items()}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            schema = {"$ref": f"#/definitions/{name}", "definitions": _needed(name, strict)}
            group = f"-{kind['group'].split('.')[0]}" if kind["group"] else ""
            file = f"{kind['kind']}{group}-{kind['version']}.json".lower()
            (folder / file).write_text(json.dumps(schema))


def write_custom(definition: dict[str, Any], folder: Path) -> None:
    """The same for the kind of a CustomResourceDefinition."""
    spec = definition["spec"]
    for version in spec["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
        file = f"{spec['names']['kind']}-{spec['group'].split('.')[0]}-{version['name']}.json".lower()
        (folder / file).write_text(json.dumps(schema))


def _strict(definition: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(definition)
    _mend(found)
    return found


def _mend(schema: dict[str, Any]) -> None:
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if schema.get("format") == "int-or-string":
        schema["type"] = ["string", "integer"]
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for part in inner:
        if isinstance(part, dict):
            _mend(part)


def _needed(name: str, definitions: Definitions) -> Definitions:
    """The definitions that ``name`` leads to."""
    found: Definitions = {}
    open_names = [name]
    while open_names:
        current = open_names.pop()
        if current not in found:
            found[current] = definitions[current]
            text = json.dumps(definitions[current])
            open_names += [part.split('"')[0] for part in text.split('"#/definitions/')[1:]]
    return found
