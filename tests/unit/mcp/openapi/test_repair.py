"""Each rule of the repair: what it finds, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ib_mcp.openapi.load import Document, parse
from ib_mcp.openapi.repair.document import Repaired, repair
from ib_mcp.openapi.rules import RULES

OK = {"200": {"description": "ok"}}
GONE: Any = object()


def document(paths: Any = None, version: str = "3.0.3", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths or {}} | more


def operation(**parts: Any) -> dict[str, Any]:
    return document({"/a": {"get": {"operationId": "a", "responses": OK} | parts}})


def put(**parts: Any) -> dict[str, Any]:
    return document({"/a": {"put": {"operationId": "a", "responses": OK} | parts}})


def at_id(**parts: Any) -> dict[str, Any]:
    return document({"/a/{id}": {"get": {"operationId": "a", "responses": OK} | parts}})


def schema(node: Any, version: str = "3.0.3", **others: Any) -> dict[str, Any]:
    return document(version=version, components={"schemas": {"s": node} | others})


def parameter(**parts: Any) -> dict[str, Any]:
    return operation(parameters=[{"name": "p", "in": "query"} | parts])


TEXT = {"type": "string"}
P = "paths /a get parameters 0"
S = "components schemas s"
ID = {"name": "id", "in": "path", "required": True, "schema": TEXT}

CASES: list[tuple[str, dict[str, Any], str, Any]] = [
    ("version-unclear", document(version="4"), "openapi", "3.1.0"),
    ("info-incomplete", document(info={"version": "1"}), "info title", "Untitled"),
    ("key-unknown", document(components={"extensions": {}}), "components", GONE),
    ("kind-wrong", operation(summary=["x"]), "paths /a get summary", GONE),
    ("text-expected", document(info={"title": "t", "version": 2}), "info version", "2"),
    ("number-expected", operation(deprecated="True"), "paths /a get deprecated", True),
    ("number-expected", schema({"type": "string", "maxLength": "5"}), f"{S} maxLength", 5),
    ("name-invalid", document(components={"schemas": {"a b": TEXT}}), "components schemas a_b", TEXT),
    ("tag-repeated", document(tags=[{"name": "a"}, {"name": "a"}]), "tags", [{"name": "a"}]),
    ("server-incomplete", document(servers=[{"url": "/x"}, {}]), "servers", [{"url": "/x"}]),
    ("reference-dangling", schema({"$ref": "#/components/schemas/none"}), S, {}),
    ("reference-dangling", schema({"$ref": "#"}), S, {}),
    ("reference-elsewhere", schema({"$ref": "other.json#/a"}), S, {}),
    ("reference-circular", schema({"$ref": "#/components/schemas/s"}), S, {}),
    (
        "reference-inside",
        schema({"$ref": "#/components/schemas/o/properties/p"}, o={"type": "object", "properties": {"p": TEXT}}),
        S,
        {"$ref": "#/components/schemas/Shared_p"},
    ),
    (
        "reference-siblings",
        schema({"$ref": "#/components/schemas/o", "type": "array"}, o=TEXT),
        S,
        {"$ref": "#/components/schemas/o"},
    ),
    (
        "path-without-slash",
        document({"a": {"get": {"operationId": "a", "responses": OK}}}),
        "paths /a get operationId",
        "a",
    ),
    (
        "path-repeated",
        document(
            {
                "/a/{x}": {"get": {"operationId": "a", "responses": OK, "parameters": [ID | {"name": "x"}]}},
                "/a/{y}": {"put": {"operationId": "b", "responses": OK, "parameters": [ID | {"name": "y"}]}},
            }
        ),
        "paths /a/{x} put parameters",
        [ID | {"name": "x"}],
    ),
    (
        "method-spelling",
        document({"/a": {"GET": {"operationId": "a", "responses": OK}}}),
        "paths /a get operationId",
        "a",
    ),
    (
        "operation-empty operation-without-id responses-missing",
        document({"/a": {"get": None}}),
        "paths /a get",
        {"operationId": "get_a", "responses": {"default": {"description": ""}}},
    ),
    ("operation-lost", document({"/a": 5}), "paths /a", {}),
    ("callback-left-out", document(webhooks={"w": {}}), "webhooks", GONE),
    (
        "operation-without-id",
        document({"/a/{id}/b-c": {"get": {"responses": OK, "parameters": [ID]}}}),
        "paths /a/{id}/b-c get operationId",
        "get_a_id_b_c",
    ),
    (
        "operation-id-repeated",
        document({"/a": {"get": {"operationId": "a", "responses": OK}, "put": {"operationId": "a", "responses": OK}}}),
        "paths /a put operationId",
        "a_2",
    ),
    ("operation-id-invalid", operation(operationId="do it!"), "paths /a get operationId", "do_it"),
    ("security-invalid", operation(security=[{"none": [None]}]), "paths /a get security", []),
    (
        "security-scheme-incomplete",
        document(components={"securitySchemes": {"k": {"type": "apiKey"}}}),
        "components",
        GONE,
    ),
    ("parameter-incomplete", operation(parameters=[{"in": "query"}]), "paths /a get parameters", GONE),
    (
        "parameter-repeated",
        operation(parameters=[{"name": "p", "in": "query", "schema": TEXT}] * 2),
        "paths /a get parameters",
        [{"name": "p", "in": "query", "schema": TEXT}],
    ),
    ("parameter-spelling", at_id(parameters=[ID | {"name": "ID"}]), "paths /a/{id} get parameters", [ID]),
    (
        "parameter-not-in-path",
        operation(parameters=[ID]),
        P,
        {"name": "id", "in": "query", "required": False, "schema": TEXT},
    ),
    ("parameter-undeclared", at_id(), "paths /a/{id} get parameters", [ID]),
    ("parameter-optional-in-path", at_id(parameters=[ID | {"required": False}]), "paths /a/{id} get parameters", [ID]),
    ("parameter-without-schema", parameter(), f"{P} schema", TEXT),
    ("parameter-without-type", parameter(schema={"maxLength": 3}), f"{P} schema", TEXT | {"maxLength": 3}),
    ("parameter-style", parameter(schema=TEXT, style="simple"), f"{P} style", GONE),
    ("body-without-content", put(requestBody={}), "paths /a put requestBody content", {"application/json": {}}),
    (
        "body-unexpected",
        operation(requestBody={"content": {"a/b": {}}}),
        "paths /a get requestBody content",
        {"a/b": {}},
    ),
    (
        "responses-missing",
        document({"/a": {"get": {"operationId": "a"}}}),
        "paths /a get responses",
        {"default": {"description": ""}},
    ),
    (
        "response-code",
        operation(responses={"ok": {"description": "x"}}),
        "paths /a get responses",
        {"default": {"description": "x"}},
    ),
    ("response-without-description", operation(responses={"200": {}}), "paths /a get responses 200 description", ""),
    ("example-twice", parameter(schema=TEXT, example=1, examples={"a": {"value": 2}}), f"{P} example", GONE),
    ("type-unknown", schema({"type": "int"}), f"{S} type", "integer"),
    ("type-unknown", schema({"type": "gadget"}), S, {}),
    (
        "type-unknown",
        schema({"type": "object", "properties": {"p": {"type": "o"}}}, o=TEXT),
        f"{S} properties p",
        {"$ref": "#/components/schemas/o"},
    ),
    ("type-of-enum", schema({"type": "boolean", "enum": ["true"]}), S, {"type": "boolean", "enum": [True]}),
    ("type-of-enum", schema({"type": "integer", "enum": ["one"]}), S, {"enum": ["one"]}),
    ("enum-invalid", schema({"enum": ["a", "a"]}), f"{S} enum", ["a"]),
    ("enum-invalid", schema({"type": "string", "enum": []}), S, TEXT),
    ("array-without-items", schema({"type": "array"}), S, {"type": "array", "items": {}}),
    ("items-as-list", schema({"type": "array", "items": [TEXT]}), f"{S} items", {"anyOf": [TEXT]}),
    ("object-without-type", schema({"properties": {"p": TEXT}}), f"{S} type", "object"),
    (
        "required-as-flag",
        schema({"type": "object", "properties": {"p": TEXT | {"required": True}}}),
        S,
        {"type": "object", "properties": {"p": TEXT}, "required": ["p"]},
    ),
    (
        "required-invalid",
        schema({"type": "object", "properties": {"p": TEXT}, "required": ["p", "p"]}),
        f"{S} required",
        ["p"],
    ),
    (
        "required-unknown",
        schema(
            {"allOf": [{"$ref": "#/components/schemas/o"}], "required": ["p", "q"]},
            o={"oneOf": [{"type": "object", "properties": {"p": TEXT}}]},
        ),
        f"{S} required",
        ["p"],
    ),
    (
        "required-unknown",
        schema({"type": "object", "properties": {"p": TEXT}, "required": ["q"]}),
        f"{S} required",
        GONE,
    ),
    ("format-against-type", schema({"type": "string", "format": "int32"}), S, TEXT),
    ("default-invalid", schema({"type": "integer", "default": "5"}), f"{S} default", 5),
    ("default-invalid", schema({"type": "integer", "default": "x"}), f"{S} default", GONE),
    ("composition-empty", schema({"allOf": []}), S, {}),
    ("composition-empty", schema({"anyOf": TEXT}), f"{S} anyOf", [TEXT]),
]


def part(node: Any, place: str) -> Any:
    for step in place.split():
        if isinstance(node, list):
            node = node[int(step)]
        elif step in node:
            node = node[step]
        else:
            return GONE
    return node


def errors(repaired: Repaired) -> list[str]:
    return [
        f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(repaired.document).iter_errors()
    ]


@pytest.mark.parametrize(
    ("rule", "given", "place", "expected"), CASES, ids=[f"{n} {c[0]}" for n, c in enumerate(CASES)]
)
def test_each_rule_mends_what_it_names(rule: str, given: dict[str, Any], place: str, expected: Any) -> None:
    before = json.dumps(given)
    repaired = repair(Document(given))
    assert {finding.rule for finding in repaired.findings} == set(rule.split())
    assert part(repaired.document, place) == expected
    assert json.dumps(given) == before
    assert errors(repaired) == []


def test_every_rule_has_a_case() -> None:
    assert {rule for case in CASES for rule in case[0].split()} | {"key-repeated", "text-broken", "version-old"} == set(
        RULES
    )


def test_a_repeated_key_loses_nothing_of_an_object() -> None:
    text = '{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{}},"/a":{"put":{}}}}'
    repaired = repair(parse(text.encode()))
    assert set(repaired.document["paths"]["/a"]) == {"get", "put"}
    assert "key-repeated" in {finding.rule for finding in repaired.findings}


def test_half_a_character_is_replaced_and_said() -> None:
    paths = rb'{"/a\ud800": {"get": {"summary": "\udc00 x"}}, "/a\ufffd": {"put": {}}}'
    repaired = repair(parse(json.dumps(document()).encode().replace(b'"paths": {}', b'"paths": ' + paths)))
    assert {method: one.get("summary") for method, one in repaired.document["paths"]["/a\ufffd"].items()} == {
        "get": "\ufffd x",
        "put": None,
    }
    assert [one.detail for one in repaired.findings if one.rule == "text-broken"] == ["/a\ufffd", "\ufffd x"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"allOf": [TEXT], "nullable": True}, {"anyOf": [{"allOf": [TEXT]}, {"type": "null"}]}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 1}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": False}, {"type": "number", "minimum": 1}),
    ],
)
def test_what_3_0_says_with_flags_is_said_as_in_3_1(given: dict[str, Any], expected: dict[str, Any]) -> None:
    repaired = repair(Document(schema(given)))
    assert repaired.findings == ()
    assert part(repaired.document, S) == expected


def test_a_schema_may_lead_to_itself_through_its_properties() -> None:
    node = {"type": "object", "properties": {"parent": {"$ref": "#/components/schemas/s"}}}
    repaired = repair(Document(schema(node)))
    assert repaired.findings == ()
    assert part(repaired.document, S) == node


def test_an_operation_takes_the_parameters_of_its_path_that_it_does_not_give_itself() -> None:
    inherited = [{"name": "a", "in": "query", "schema": TEXT}, {"name": "b", "in": "query", "schema": TEXT}]
    own = {"name": "a", "in": "query", "schema": {"type": "integer"}}
    item = {"parameters": inherited, "get": {"operationId": "a", "responses": OK, "parameters": [own]}}
    repaired = repair(Document(document({"/a": item})))
    assert repaired.document["paths"]["/a"]["get"]["parameters"] == [own, inherited[1]]


def test_names_of_operations_stay_short_when_they_are_numbered() -> None:
    long = {name: {"operationId": "a" * 80, "responses": OK} for name in ("get", "put", "post")}
    repaired = repair(Document(document({"/a": long})))
    ids = [one["operationId"] for one in repaired.document["paths"]["/a"].values()]
    assert ids == ["a" * 64, "a" * 62 + "_2", "a" * 62 + "_3"]


def test_a_parameter_may_be_described_by_a_media_type() -> None:
    content = {"application/json": {"schema": {"type": "int"}, "example": 1}}
    repaired = repair(Document(operation(parameters=[{"name": "p", "in": "query", "content": content}])))
    assert part(repaired.document, f"{P} content application/json schema type") == "integer"
    assert errors(repaired) == []


def test_a_method_that_is_at_a_path_twice_is_named_as_lost() -> None:
    item = {"get": {"operationId": "a", "responses": OK}}
    repaired = repair(Document(document({"/a": item, "a": item})))
    lost = [finding.place for finding in repaired.findings if finding.rule == "operation-lost"]
    assert lost == ["/paths/a/get"]
