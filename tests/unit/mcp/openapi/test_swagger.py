"""Swagger 2.0, which IBKR's older document is written in, as OpenAPI 3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.load import parse
from ib_mcp.openapi.repair.document import repair
from support import documents

BOOK = {"$ref": "#/components/schemas/Book"}


@pytest.fixture(scope="module")
def library() -> dict[str, Any]:
    return repair(parse(documents.LIBRARY.read_bytes())).document


def test_a_valid_document_needs_no_repair_besides() -> None:
    repaired = repair(parse(documents.LIBRARY.read_bytes()))
    assert [finding.rule for finding in repaired.findings] == ["version-old"]
    assert list(OpenAPIV31SpecValidator(repaired.document).iter_errors()) == []


def test_host_base_and_schemes_become_servers(library: dict[str, Any]) -> None:
    assert [one["url"] for one in library["servers"]] == ["https://library.example/api", "http://library.example/api"]
    assert library["x-owner"] == "us"


def test_types_of_parameters_become_schemas(library: dict[str, Any]) -> None:
    page, ids, tags = library["paths"]["/books"]["get"]["parameters"]
    assert page == {
        "name": "page", "in": "query", "schema": {"type": "integer", "format": "int32", "default": 1, "minimum": 1},
    }  # fmt: skip
    assert (ids["style"], ids["explode"]) == ("pipeDelimited", False)
    assert tags["explode"] is False
    assert tags["schema"] == {"type": "array", "items": {"type": "string"}}


def test_bodies_and_forms_become_request_bodies(library: dict[str, Any]) -> None:
    assert library["paths"]["/books"]["post"]["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": BOOK}},
    }
    cover = library["paths"]["/books/{id}/cover"]["put"]
    assert [one["name"] for one in cover["parameters"]] == ["id"]
    assert cover["requestBody"]["content"]["multipart/form-data"]["schema"] == {
        "type": "object",
        "properties": {"picture": {"type": "string", "format": "binary"}, "title": {"type": "string"}},
        "required": ["picture"],
    }


def test_answers_have_each_media_type(library: dict[str, Any]) -> None:
    answers = library["paths"]["/books"]["get"]["responses"]
    assert set(answers["200"]["content"]) == {"application/json", "application/xml"}
    assert answers["200"]["content"]["application/json"]["example"] == []
    assert answers["200"]["headers"] == {"x-next": {"schema": {"type": "integer"}}}
    assert answers["default"] == {"$ref": "#/components/responses/Failure"}
    picture = library["paths"]["/books/{id}/cover"]["get"]["responses"]["200"]["content"]
    assert picture == {"image/png": {"schema": {"type": "string", "format": "binary"}}}


def test_schemas_and_schemes_say_what_they_said(library: dict[str, Any]) -> None:
    book = library["components"]["schemas"]["Book"]
    assert book["discriminator"] == {"propertyName": "kind"}
    assert book["properties"]["price"] == {"type": ["number", "null"]}
    assert book["properties"]["example"] == {"$ref": "#/components/schemas/Author"}
    schemes = library["components"]["securitySchemes"]
    assert schemes["basic"] == {"type": "http", "scheme": "basic"}
    assert set(schemes["app"]["flows"]) == {"authorizationCode"}


@pytest.mark.parametrize("odd", [None, ["x"], {"a": None}])
@pytest.mark.parametrize(
    "key",
    ["paths", "parameters", "responses", "definitions", "securityDefinitions", "host", "basePath", "schemes",
     "consumes", "produces", "info"],
)  # fmt: skip
def test_odd_values_become_valid_and_lose_no_operation(key: str, odd: Any) -> None:
    given = documents.read(documents.LIBRARY)
    given[key] = odd
    repaired = repair(parse(json.dumps(given).encode())).document
    assert list(OpenAPIV31SpecValidator(repaired).iter_errors()) == []
    if key != "paths":
        assert {path: set(item) for path, item in repaired["paths"].items()} == {
            "/books": {"get", "post"},
            "/books/{id}/cover": {"put", "get"},
        }


@pytest.mark.parametrize("odd", [5, [None], {"$ref": 5}])
@pytest.mark.parametrize("key", ["parameters", "responses", "consumes", "produces", "schemes", "security"])
def test_odd_values_of_an_operation_become_valid(key: str, odd: Any) -> None:
    given = documents.read(documents.LIBRARY)
    for item in given["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation[key] = odd
    repaired = repair(parse(json.dumps(given).encode())).document
    assert list(OpenAPIV31SpecValidator(repaired).iter_errors()) == []
    assert sum(len(item) for item in repaired["paths"].values()) == 4


def test_an_odd_form_of_a_list_becomes_the_usual_one() -> None:
    given = documents.read(documents.LIBRARY)
    given["paths"]["/books"]["get"]["parameters"][1]["collectionFormat"] = ["pipes"]
    ids = repair(parse(json.dumps(given).encode())).document["paths"]["/books"]["get"]["parameters"][1]
    assert (ids["name"], ids.get("style"), ids["schema"]["type"]) == ("ids", None, "array")


def test_media_types_that_multiply_a_document_are_refused() -> None:
    given = documents.read(documents.LIBRARY) | {"produces": [f"a/b{n}" for n in range(1000)]}
    given["paths"]["/books"]["get"]["responses"]["200"]["schema"] = {"enum": ["x" * 1000 + str(n) for n in range(100)]}
    with pytest.raises(DocumentUnreadable, match="media type"):
        parse(json.dumps(given).encode())
