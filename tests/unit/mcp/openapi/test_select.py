"""Which operations the gateway serves, what is written of them, and what differs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from ib_mcp.openapi import diff, report, status
from ib_mcp.openapi.emit import only, text
from ib_mcp.openapi.load import Document, load, parse
from ib_mcp.openapi.repair.document import Repaired, repair
from ib_mcp.openapi.select import operations, select
from ibkr import catalogue
from support import documents, published

OK = {"200": {"description": "ok"}}
TEXT = {"type": "string"}


def made(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    info = {"title": "t", "version": "1"}
    return repair(Document({"openapi": "3.1.0", "info": info, "paths": paths} | more)).document


def get(*parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"get": {"responses": OK, "parameters": list(parameters)} | more}


def query(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": TEXT} | more


@cache
def newest() -> Repaired:
    return repair(load(str(published.paths()[-1])))


def test_a_path_is_matched_with_and_without_prefix_slash_and_case_of_variables() -> None:
    paths = ("/v1/api/iserver/accounts", "/iserver/account/trades/", "/portfolio/{ACCOUNTID}/ledger")
    found = select(made({path: get() for path in paths}))
    assert [one.row.id for one in found.served] == ["list_brokerage_accounts", "list_trades", "get_ledger"]
    assert found.left == ()


def test_what_is_not_served_is_left_with_the_reason() -> None:
    paths = {"/gw/api/v1/accounts": get(), "/ws": get(), "/new/thing": get(), "/iserver/accounts": get()}
    found = select(made(paths | {"/v1/api/iserver/accounts": get()}))
    reasons = {one.path: one.reason for one in found.left}
    assert "/gw" in reasons["/gw/api/v1/accounts"]
    assert "upgrades" in reasons["/ws"]
    assert "catalogue" in reasons["/new/thing"]
    assert "second time" in reasons["/v1/api/iserver/accounts"]
    assert [one.path for one in found.left if one.is_new] == ["/new/thing"]


def test_names_of_variables_decide_between_two_of_one_shape() -> None:
    orders = {"post": {"responses": OK}}
    assert [one.row.id for one in select(made({"/iserver/account/{x}/orders": orders})).served] == ["place_orders"]
    (left,) = select(made({"/iserver/account/{modelCode}/orders": orders})).left
    assert left.reason == catalogue.load()["place_model_orders"].reason


def test_every_published_operation_is_served_or_left_and_none_is_missing() -> None:
    rows = {(row.method, row.path): row for row in catalogue.load()}
    for path in published.paths():
        document = repair(load(str(path))).document
        selection = select(document)
        assert len(selection.served) + len(selection.left) == sum(1 for _ in operations(document))
        assert not [one for one in selection.left if one.is_new]
        version = path.name.removeprefix("ib-rest-api-")[:4]
        listed = {call for call, row in published.operations().items() if version in row["in_specs"]}
        served = {(one.row.method, one.row.path) for one in selection.served}
        assert served == {call for call in listed if rows[call].status != "unsupported"}, path.name


def test_only_what_is_selected_is_written_with_what_it_needs() -> None:
    schemas = {"a": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/b"}}}, "b": TEXT, "c": TEXT}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/a"}}}}
    paths = {"/iserver/accounts": get(responses={"200": {"description": "", **body}}), "/gw/x": get()}
    document = made(paths, components={"schemas": schemas})
    kept = only(document, select(document).served)
    assert list(kept["paths"]) == ["/iserver/accounts"]
    assert list(kept["components"]["schemas"]) == ["a", "b"]
    assert repair(parse(text(kept).encode())).document == kept


def test_the_served_part_of_a_published_document_stands_alone() -> None:
    document = newest().document
    kept = only(document, select(document).served)
    assert repair(Document(kept)).document == kept
    assert len(text(kept)) < len(text(document)) * 0.7


def test_reports_count_by_class_with_places() -> None:
    repaired = repair(parse(documents.SHOP.read_bytes()))
    plain = report.plain(repaired.findings, 6)
    assert "type-unknown" in plain
    assert "/components/parameters/OrderId/schema/type: int: integer" in plain
    found = json.loads(report.as_json(repaired.findings, 6))
    assert sum(one["count"] for one in found["classes"]) == len(repaired.findings)
    assert all(one["count"] == len(one["found"]) for one in found["classes"])
    assert f"{sum(one['count'] for one in found['classes'] if one['kind'] == 'error')} errors" in plain


def test_reports_name_what_independent_checks_of_the_published_documents_found() -> None:
    """The counts of the walk that is described beside the documents."""
    expected = {
        "2.20": {"operation-without-id": 140, "parameter-optional-in-path": 6, "parameter-without-schema": 5},
        "2.28": {"operation-without-id": 157, "array-without-items": 53, "security-invalid": 2},
    }
    for path in published.paths():
        groups = report.grouped(repair(load(str(path))).findings)
        for rule, count in expected.get(path.name.removeprefix("ib-rest-api-")[:4], {}).items():
            assert len(groups[rule]) == count, (path.name, rule)


def test_status_lists_every_operation_once() -> None:
    document = made({"/iserver/accounts": get(), "/gw/x": get()})
    found = json.loads(status.as_json(document, {"Portfolio": 1200}))
    assert [one["endpoint"] for one in found["served"]] == ["list_brokerage_accounts"]
    assert [one["call"] for one in found["left"]] == ["GET /gw/x"]
    assert found["bytes"] == {"Portfolio": 1200}
    plain = status.plain(document, {"Portfolio": 1200})
    assert "Portfolio (1; 1,200 bytes as generated tools)" in plain
    assert plain.endswith("1 operations served, 1 left out.\n")


def test_a_difference_names_operations_and_parameters() -> None:
    before = made({"/a/{id}": get(query("x"), query("y", required=True)), "/gone": get()})
    after = made({"/v1/api/a/{ID}": get(query("y"), query("z")), "/new": get()})
    found = diff.difference(diff.of_document(before), diff.of_document(after))
    assert found.added == (("GET", "/new"),)
    assert found.gone == (("GET", "/gone"),)
    (change,) = found.changed
    assert (change.added, change.gone, change.optional) == (("query z",), ("query x",), ("query y",))
    assert diff.plain(found).splitlines()[-1] == "1 added, 1 gone, 1 changed"
    assert json.loads(diff.as_json(found))["changed"][0]["call"] == "GET /a/{id}"


def test_a_document_does_not_differ_from_itself() -> None:
    one = diff.of_document(newest().document)
    assert diff.difference(one, one) == diff.Difference((), (), ())


def test_bodies_are_compared_through_their_compositions() -> None:
    schemas = {"a": {"type": "object", "properties": {"p": TEXT}, "required": ["p"]}}
    schema = {"allOf": [{"$ref": "#/components/schemas/a"}, {"type": "object", "properties": {"q": TEXT}}]}
    body = {"content": {"application/json": {"schema": schema}}}
    document = made({"/a": {"put": {"responses": OK, "requestBody": body}}}, components={"schemas": schemas})
    assert diff.of_document(document) == {("PUT", "/a"): {"body p": True, "body q": False}}


def test_the_newest_published_document_adds_nothing_to_the_catalogue() -> None:
    known = catalogue.load()
    found = diff.difference(diff.of_catalogue(known), diff.of_gateway(newest().document, known))
    assert found.added == ()
    assert [change for change in found.changed if change.added] == []
