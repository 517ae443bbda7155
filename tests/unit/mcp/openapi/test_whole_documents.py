"""Whole documents repaired: those of others and of IBKR, and such as would grow without bounds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from fuzz.documents import bounded
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.load import Document, parse
from ib_mcp.openapi.repair.document import Repaired, repair
from support import documents, published

OK = {"200": {"description": "ok"}}
TEXT = {"type": "string"}


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": paths} | more


def errors(repaired: Repaired) -> list[str]:
    return [
        f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(repaired.document).iter_errors()
    ]


@pytest.mark.parametrize("path", documents.OF_OTHERS, ids=lambda path: path.stem)
def test_documents_of_other_apis_become_valid(path: Any) -> None:
    given = parse(path.read_bytes())
    repaired = repair(given)
    assert errors(repaired) == []
    calls = [
        (name, method.lower()) for name, item in given.root["paths"].items() for method in item if method != "$ref"
    ]
    for name, method in calls:
        assert method == "parameters" or method in repaired.document["paths"][name]


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        (documents.WEATHER, {"type-unknown": 4, "operation-without-id": 1}),
        (documents.BROKER, {"kind-wrong": 1, "key-unknown": 1, "reference-elsewhere": 1, "operation-id-invalid": 6}),
    ],
    ids=["weather", "broker"],
)
def test_documents_that_others_wrote_have_the_faults_that_are_known_of_them(path: Any, rules: dict[str, int]) -> None:
    repaired = repair(parse(path.read_bytes()))
    assert Counter(finding.rule for finding in repaired.findings) == rules
    again = repair(Document(repaired.document))
    assert again.document == repaired.document
    assert again.findings == ()


def test_a_type_that_names_a_schema_leads_to_it() -> None:
    repaired = repair(parse(documents.WEATHER.read_bytes())).document
    answer = repaired["paths"]["/v1/forecast"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["hourly"] == {"$ref": "#/components/schemas/HourlyResponse"}
    assert repaired["components"]["schemas"]["CurrentWeather"]["properties"]["weather_code"] == {"type": "integer"}


def test_a_valid_document_is_changed_in_nothing_but_what_is_left_out() -> None:
    repaired = repair(parse(documents.PAYMENTS.read_bytes()))
    assert {finding.rule for finding in repaired.findings} == {"callback-left-out"}


def test_published_documents_become_valid_and_keep_every_operation() -> None:
    for path in published.paths():
        given = parse(path.read_bytes())
        repaired = repair(given)
        assert errors(repaired) == [], path.name
        for name, item in given.root["paths"].items():
            assert {key for key in item if key != "parameters"} <= repaired.document["paths"][name].keys(), name
        assert repair(Document(repaired.document)).document == repaired.document


def test_work_grows_with_the_document_and_not_with_its_square() -> None:
    """Each took minutes once: names that are taken, references in a chain, references into the middle."""
    count = 20_000
    chain: dict[str, Any] = {f"s{n}": {"$ref": f"#/components/schemas/s{n + 1}"} for n in range(count)}
    inside = {f"p{n}": {"$ref": f"#/components/schemas/o/properties/p{n + 1}"} for n in range(2000)}
    parts = {"schemas": chain | {f"s{count}": TEXT, "o": {"type": "object", "properties": inside | {"p2000": TEXT}}}}
    same = {f"/a{n}": {"get": {"operationId": "same", "responses": OK}} for n in range(count)}
    odd = {"examples": {"?" * (n + 1): {"value": 1} for n in range(500)}}
    with bounded():
        repaired = repair(Document(document(same, components=parts | odd)))
    ids = {item["get"]["operationId"] for item in repaired.document["paths"].values()}
    assert len(ids) == count
    assert "same_20000" in ids


def test_a_document_that_grows_beyond_bounds_when_written_out_is_refused() -> None:
    large = {"name": "p", "in": "query", "schema": TEXT | {"enum": ["x" * 1000 + str(n) for n in range(1000)]}}
    use = {"parameters": [{"$ref": "#/components/parameters/p"}], "responses": OK}
    with pytest.raises(DocumentUnreadable, match="written out"):
        repair(
            Document(document({f"/a{n}": {"get": use} for n in range(100)}, components={"parameters": {"p": large}}))
        )


def test_a_long_chain_that_many_parameters_lead_into_is_refused() -> None:
    chain: dict[str, Any] = {f"p{n}": {"$ref": f"#/components/parameters/p{n + 1}"} for n in range(5000)}
    chain["p5000"] = {"name": "p", "in": "query", "schema": TEXT}
    use = {"parameters": [{"$ref": "#/components/parameters/p0"}], "responses": OK}
    given = document({f"/a{n}": {"get": use} for n in range(5000)}, components={"parameters": chain})
    with bounded(), pytest.raises(DocumentUnreadable, match="written out"):
        repair(Document(given))
