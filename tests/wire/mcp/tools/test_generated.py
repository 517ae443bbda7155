"""Tools generated from an OpenAPI document, on the real guard and the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from fastmcp.server.providers.openapi import MCPType, OpenAPIProvider, RouteMap
from openapi_spec_validator import OpenAPIV31SpecValidator

from ib_mcp.context import ToolContext
from ib_mcp.openapi.emit import only
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.load import Document, load
from ib_mcp.openapi.repair.document import repair
from ib_mcp.openapi.select import select
from ib_mcp.openapi.tool_document import tool_document
from ib_mcp.server.server import TOOLS
from ib_mcp.settings import McpSettings
from ib_mcp.tools.generated import of_document
from ibkr import catalogue
from ibkr.operation import TAGS
from support import documents, published
from support.agent import Agent, agent, connected
from support.answers import body_of
from support.calls import CASES
from support.simulator import AAPL, PAPER

pytestmark = pytest.mark.looptime

READS = {row.id: row for row in catalogue.load() if row.effect == "read" and row.status != "unsupported"}
OWN = {function.__name__ for function in TOOLS}
# What a paper user of one account is refused.
REFUSED = {"search_dynamic_accounts", "get_allocation_of_accounts"}


def known(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Path, query and body of a call in one, without what the catalogue's row has not."""
    row = catalogue.load()[name]
    names = {*row.path_parameters, *(one.name for one in (*row.query, *row.body))}
    flat = {**given, **given.get("path", {}), **given.get("body", {})}
    return {name: value for name, value in flat.items() if name in names}


ARGUMENTS = {name: known(name, given) for name, given, _ in CASES}


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "all.json"
    path.write_text(json.dumps(documents.of_catalogue()), "utf-8")
    return str(path)


async def names(a: Agent) -> set[str]:
    return {tool.name for tool in await a.client.list_tools()}


def generated_name(row: str) -> str:
    return f"call_{row}" if row in OWN else row


async def test_every_operation_answers_the_same_by_call_endpoint_and_as_a_generated_tool(spec: str) -> None:
    async with agent(settings={"spec": spec}) as a:
        assert await names(a) == OWN | set(map(generated_name, READS))
        for row in READS:
            given = ARGUMENTS.get(row, {})
            both = []
            for _ in range(2):  # the first answers of a session may be others
                both = [
                    await a.call("call_endpoint", endpoint=row, parameters=given),
                    await a.call(generated_name(row), **given),
                ]
            assert both[0].is_error == both[1].is_error, row
            assert both[0].is_error == (row in REFUSED), (row, both[0].text)
            if row in REFUSED:
                assert both[0].error["code"] == both[1].error["code"], row
            else:
                assert both[0].body | {"age_ms": 0} == both[1].body | {"age_ms": 0}, row
            assert json.loads(both[1].text) == both[1].body


async def test_what_does_more_than_read_is_neither_generated_nor_called(spec: str) -> None:
    async with agent(settings={"spec": spec}) as a:
        listed = await names(a)
        for row in catalogue.load():
            if row.id not in READS:
                assert row.id not in listed
                called = await a.call("call_endpoint", endpoint=row.id, parameters=ARGUMENTS.get(row.id, {}))
                assert called.error["code"] in ("operation_forbidden", "operation_unknown"), row.id
                assert (await a.call(row.id, **ARGUMENTS.get(row.id, {}))).error["code"] == "operation_unknown"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"spec_include_tags": "watchlists"}, {"list_watchlists", "get_watchlist"}),
        ({"spec_include_tags": "Trading Watchlists"}, {"list_watchlists", "get_watchlist"}),
        ({"spec_include_tags": "Watchlists", "spec_exclude_tags": "Watchlists"}, set()),
        ({"spec_include_operations": "get_ledger, get_portfolio_accountId_meta"}, {"get_ledger", "get_account_meta"}),
        (
            {"spec_include_tags": "Watchlists", "spec_include_operations": "get_ledger"},
            {"list_watchlists", "get_watchlist", "get_ledger"},
        ),
        ({"spec_include_operations": "get_ledger", "exclude_tags": "Portfolio"}, set()),
        ({"spec_include_operations": "get_ledger", "spec_naming": "document"}, {"get_portfolio_accountId_ledger"}),
        ({"spec_include_operations": "get_order_status"}, {"call_get_order_status"}),
    ],
)
async def test_the_settings_choose_what_is_generated(spec: str, chosen: dict[str, Any], expected: set[str]) -> None:
    async with agent(None, settings={"spec": spec} | chosen) as a:
        assert await names(a) - OWN == expected


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"spec_include_tags": "Bananas"}, "no tag 'bananas'"),
        ({"spec_include_operations": "nothing"}, "no operation 'nothing'"),
        ({"spec": "/nowhere"}, "/nowhere"),
    ],
)
async def test_a_choice_that_the_document_has_not_is_refused_at_the_start(
    spec: str, chosen: dict[str, Any], said: str
) -> None:
    with pytest.raises(DocumentUnreadable, match=said):
        async with agent(None, settings={"spec": spec} | chosen):
            pass


async def test_an_address_that_does_not_answer_costs_the_generated_tools_only() -> None:
    async with agent(None, settings={"spec": "http://127.0.0.1:1/spec"}) as a:
        assert await names(a) == OWN


async def test_generated_tools_are_marked_and_listed_as_our_own(spec: str) -> None:
    async with agent(None, settings={"spec": spec}) as a:
        for tool in await a.client.list_tools():
            assert tool.title
            assert tool.output_schema is None
            assert tool.meta is None
            if tool.name not in OWN:
                row = READS[tool.name.removeprefix("call_")]
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint is True
                assert tool.description.startswith(row.title)
                assert set(tool.input_schema.get("required", ())) == {
                    *row.path_parameters,
                    *(one.name for one in (*row.query, *row.body) if one.required),
                }


@pytest.mark.parametrize(
    ("tool", "arguments", "hint"),
    [
        ("get_ledger", {}, "needs accountId"),
        ("get_ledger", {"accountId": "U1", "acount": 1}, "does not know acount"),
        ("get_ledger", {"accountId": "../U1"}, "accountId cannot be"),
        ("get_watchlist", {"id": "100", "pick": "nothing"}, "no part 'nothing'"),
    ],
)
async def test_wrong_arguments_are_named_before_anything_is_sent(
    spec: str, tool: str, arguments: dict[str, Any], hint: str
) -> None:
    async with agent(settings={"spec": spec}) as a:
        sent = len(a.simulator.requests)
        refused = await a.call(tool, **arguments)
        assert refused.error["code"] == "invalid_request"
        assert hint in refused.error["message"]
        assert len(a.simulator.requests) == sent + (tool == "get_watchlist") or "pick" in arguments


async def test_large_answers_are_shown_in_parts(spec: str) -> None:
    body = {"rows": [{"number": number, "text": "x" * 1000} for number in range(50)]}
    answered = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    async with connected(answered, {"spec": spec}) as (_, client):

        async def call(**arguments: Any) -> Any:
            return body_of(await client.call_tool("list_models", {"reqID": 1} | arguments, raise_on_error=False))

        assert "Give pick" in (await call())["error"]["action"]
        first = await call(pick="rows")
        rest = await call(pick="rows", cursor=first["more"])
        assert [row["number"] for row in (*first["result"], *rest["result"])][:30] == list(range(30))


async def test_the_guard_is_told_who_asks_and_until_when(spec: str) -> None:
    seen: list[httpx.Request] = []

    async def answered(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[{"conid": 1}], headers={"ib-age-ms": "7"})

    async with connected(httpx.MockTransport(answered), {"spec": spec, "deadline_s": 5}) as (_, client):
        found = await client.call_tool("search_stocks", {"symbols": ["AAPL", "B R&K"]})
        assert body_of(found) == {"endpoint": "search_stocks", "age_ms": 7, "result": [{"conid": 1}]}
    (request,) = seen
    assert request.url.path == "/v1/api/trsrv/stocks"
    assert request.url.params["symbols"] == "AAPL,B R&K"
    assert request.headers["ib-caller"]
    assert 4000 < int(request.headers["ib-deadline-ms"]) < 5000


async def test_errors_of_the_guard_come_as_they_are(spec: str) -> None:
    async with agent(None, settings={"spec": spec}) as a:
        refused = await a.call("get_ledger", accountId=PAPER)
        assert refused.error["code"] == "login_required"
        assert refused.error["login"]


def test_the_document_that_tools_are_made_from_is_valid() -> None:
    document = repair(Document(documents.of_catalogue())).document
    made = tool_document(document, [(one.row.id, one) for one in select(document).served])
    assert list(OpenAPIV31SpecValidator(made).iter_errors()) == []


def listed_bytes(tools: Any) -> int:
    return sum(len(tool.to_mcp_tool().model_dump_json(by_alias=True, exclude_none=True)) for tool in tools)


@pytest.mark.parametrize("tag", TAGS)
def test_tools_of_a_tag_cost_at_most_half_of_what_fastmcp_makes_of_them(tag: str) -> None:
    for path in published.paths():
        document = repair(load(str(path))).document
        served = [one for one in select(document).served if one.row.effect == "read" and tag in one.row.tags]
        if not served:
            continue
        theirs: list[Any] = []
        OpenAPIProvider(
            only(document, served),
            httpx2.AsyncClient(base_url="http://guard"),
            route_maps=[RouteMap(mcp_type=MCPType.TOOL)],
            mcp_component_fn=lambda _, tool, made=theirs: made.append(tool),  # type: ignore[misc]
        )
        given: dict[str, Any] = {"guard_url": "http://guard", "guard_token": "token-of-tests"}
        ours = of_document(ToolContext.of(None, McpSettings(**given, spec_include_tags=(tag,))), document)  # type: ignore[arg-type]
        assert len(ours) == len(theirs)
        assert listed_bytes(ours) <= listed_bytes(theirs) / 2, path.name


MONTH = {"acctIds": [PAPER], "period": "1M"}
DECEMBER = {"conid": AAPL, "sectype": "OPT", "month": "DEC26"}
DAY = {"conid": AAPL, "period": "1d", "bar": "1h"}
QUESTIONS: list[tuple[str, str, str, dict[str, Any], str, Any]] = [
    ("Session", "Is the session open?", "get_auth_status", {}, "authenticated", True),
    ("Portfolio", "In which currency is my account?", "get_account_meta", {"accountId": PAPER}, "currency", "USD"),
    ("Portfolio Analyst", "How did I do this month?", "get_performance", MONTH, "nav.data.0.id", PAPER),
    ("Contract", "What is the conid of AAPL?", "search_contracts", {"symbol": "AAPL"}, "0.conid", str(AAPL)),
    ("Options Chains", "Which strikes has AAPL in December?", "list_strikes", DECEMBER, "call", ...),
    ("Market Data", "How did AAPL trade today?", "get_price_history", DAY, "symbol", "AAPL"),
    ("Scanner", "What can be scanned?", "get_scanner_parameters", {"pick": "instrument_list.0"}, "type", "STK"),
    ("Watchlists", "Which lists do I keep?", "list_watchlists", {"SC": "USER_WATCHLIST"}, "data.user_lists.0.id", ...),
    ("Alerts", "Which alerts did I set?", "list_alerts", {"accountId": PAPER}, "0.alert_name", ...),
    ("Order Monitoring", "What is working?", "list_live_orders", {}, "orders", ...),
    ("FYIs and Notifications", "How much is unread?", "count_unread_notifications", {}, "BN", ...),
    ("Events Contracts", "Which events are traded?", "list_forecast_categories", {}, "categories", ...),
    ("FA Allocation Management", "Which models are there?", "list_models", {"reqID": 1}, "models", ...),
]
"""Tag, question, the tool that answers it with its arguments, where the answer lies, and the answer (... for any)."""


def test_every_tag_with_reads_has_a_question() -> None:
    assert {row[0] for row in QUESTIONS} == {row.tags[0] for row in READS.values()}


@pytest.mark.parametrize(
    ("tag", "question", "tool", "arguments", "place", "expected"), QUESTIONS, ids=[row[0] for row in QUESTIONS]
)
async def test_questions_of_a_tag_are_answered_by_its_tools(
    spec: str, tag: str, question: str, tool: str, arguments: dict[str, Any], place: str, expected: Any
) -> None:
    settings = {"spec": spec, "spec_include_tags": (tag,), "include_tags": (tag,), "exclude_tags": ("Endpoints",)}
    async with agent(settings=settings) as a:
        for _ in range(2):  # the first answers of a session may be empty
            answer = await a.read(generated_name(tool), **arguments)
        found: Any = answer.body["result"]
        for step in place.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        assert found == expected if expected is not ... else found not in (None, "", [], {})
