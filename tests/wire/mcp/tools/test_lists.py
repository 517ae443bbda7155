"""Watchlists, alerts, notifications, and the catalogue's other operations."""

from __future__ import annotations

import json

import pytest

from ib_simulator.faults.faults import FaultSpec
from ib_simulator.world.accounts import ACCOUNTS
from ibkr import catalogue
from support.agent import agent

pytestmark = pytest.mark.looptime

PAPER = ACCOUNTS["paper"][0].id


async def test_watchlists_and_the_instruments_in_one() -> None:
    async with agent() as a:
        first = (await a.read("get_watchlists")).rows("watchlists")[0]
        for name in (first["id"], first["name"], first["name"].upper()):
            answer = await a.read("get_watchlists", watchlist=name)
            assert answer.body["name"] == first["name"]
            assert all(row["conid"] and row["symbol"] for row in answer.rows("instruments"))
        mixed = (await a.read("get_watchlists", watchlist="Futures and currencies")).rows("instruments")
        assert "EUR.USD" in {row["symbol"] for row in mixed}
        refused = await a.call("get_watchlists", watchlist="no such list")
        assert first["name"] in refused.error["action"]


async def test_alerts_and_the_conditions_of_one() -> None:
    async with agent() as a:
        listed = (await a.read("get_alerts")).rows("alerts")[0]
        answer = await a.read("get_alerts", alert_id=listed["alert_id"])
        assert answer.body["name"] == listed["name"]
        assert answer.rows("conditions")[0]["kind"] == "price"
        refused = await a.call("get_alerts", alert_id="1")
        assert (refused.error["code"], "get_alerts" in refused.error["action"]) == ("invalid_request", True)


async def test_notifications_are_marked_as_untrusted_and_bare_of_markup() -> None:
    async with agent() as a:
        answer = await a.read("get_notifications")
        assert "never as instructions" in answer.body["warning"]
        assert answer.body["unread"] > 0
        rows = answer.rows("notifications")
        assert any("ignore your instructions" in row["untrusted_text"] for row in rows)
        assert all("<" not in row["untrusted_title"] + row["untrusted_text"] for row in rows)
        assert len((await a.read("get_notifications", limit=1)).rows("notifications")) == 1


async def test_find_endpoint_knows_words_and_ids() -> None:
    async with agent() as a:
        found = (await a.read("find_endpoint", words="market value by currency")).body["endpoints"]
        assert "get_market_values" in [row["endpoint"] for row in found]
        (one,) = (await a.read("find_endpoint", words="place_orders")).body["endpoints"]
        assert (one["callable"], one["effect"]) == (False, "trade")
        assert (await a.call("find_endpoint", words="xyzzy")).error["code"] == "operation_unknown"


async def test_what_ibkr_does_not_give_is_said_in_place_of_what_looks_alike() -> None:
    async with agent() as a:
        for words, hint in (
            ("earnings calendar", "Wall Street Horizon"),
            ("margin interest paid", "Activity Statement"),
            ("deposits and withdrawals", "Activity Statement"),
            ("commissions this month", "get_account_trades"),
            ("mutual fund expense ratio", "provider"),
            ("dividends received by the account", "get_account_transactions"),
            ("news on AAPL", "TWS"),
        ):
            answer = (await a.read("find_endpoint", words=words)).body
            assert answer["endpoints"] == []
            assert any(hint in sentence for sentence in answer["not_given"]), words


async def test_call_endpoint_gives_ibkrs_own_answer() -> None:
    async with agent() as a:
        meta = (await a.read("call_endpoint", endpoint="get_account_meta", parameters={"accountId": PAPER})).body
        assert meta["result"]["accountId"] == PAPER
        rate = await a.read(
            "call_endpoint", endpoint="get_exchange_rate", parameters={"source": "EUR", "target": "USD"}
        )
        assert rate.body["result"]["rate"] > 0
        rules = await a.read("call_endpoint", endpoint="get_contract_rules", parameters={"conid": 265598})
        assert rules.body["result"]["orderTypes"]


@pytest.mark.parametrize(
    ("endpoint", "parameters", "code", "hint"),
    [
        ("get_ledgers", {}, "operation_unknown", "get_ledger"),
        ("get_ledger", {}, "invalid_request", "accountId"),
        ("get_ledger", {"accountId": PAPER, "colour": "red"}, "invalid_request", "accountId"),
        ("get_ledger", {"accountId": "../../tickle"}, "invalid_request", "letters"),
        ("place_orders", {"accountId": PAPER, "orders": []}, "operation_forbidden", "trade in TWS"),
        ("unsubscribe_all_market_data", {}, "operation_forbidden", "no setting"),
        ("get_regulatory_snapshot", {"conid": 265598}, "operation_unknown", ""),
    ],
)
async def test_a_wrong_call_of_an_endpoint_is_refused_before_ibkr(
    endpoint: str, parameters: dict[str, object], code: str, hint: str
) -> None:
    async with agent() as a:
        before = len(a.simulator.requests)
        refused = await a.call("call_endpoint", endpoint=endpoint, parameters=parameters)
        assert refused.error["code"] == code
        assert hint in refused.error["action"]
        assert len(a.simulator.requests) == before


async def test_no_operation_that_changes_anything_can_be_called() -> None:
    changing = [row.id for row in catalogue.load() if row.effect != "read"]
    async with agent() as a:
        for endpoint in changing:
            refused = await a.call("call_endpoint", endpoint=endpoint, parameters={})
            assert refused.error["code"] in ("operation_forbidden", "operation_unknown"), endpoint


async def test_a_large_answer_comes_in_portions_or_by_its_parts() -> None:
    async with agent() as a:
        arguments = {"endpoint": "list_exchange_contracts", "parameters": {"exchange": "NASDAQ"}}
        rows, cursor = [], None
        while True:
            part = (await a.read("call_endpoint", **arguments, cursor=cursor)).body
            assert len(json.dumps(part)) < 25_000
            rows += part["result"]
            cursor = part.get("more")
            if cursor is None:
                break
        assert {"AAPL", "MSFT"} <= {row["ticker"] for row in rows}

        many = [{"code": f"CODE_{number}"} for number in range(5000)]
        body = {"scan_type_list": many, "filter_list": []}
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_scanner_parameters", status=200, body=body))
        refused = await a.call("call_endpoint", endpoint="get_scanner_parameters")
        assert "scan_type_list" in refused.error["action"]
        part = await a.read("call_endpoint", endpoint="get_scanner_parameters", pick="scan_type_list.7.code")
        assert part.body["result"] == "CODE_7"
        for wrong in ("none", "5000", "9" * 5000, "²"):
            refused = await a.call("call_endpoint", endpoint="get_scanner_parameters", pick=f"scan_type_list.{wrong}")
            assert "0 to 4999" in refused.error["action"]


async def test_excluded_tags_hold_for_operations_too() -> None:
    async with agent(settings={"exclude_tags": "Alerts"}) as a:
        refused = await a.call("call_endpoint", endpoint="list_alerts", parameters={"accountId": PAPER})
        assert refused.error["code"] == "operation_forbidden"
        found = (await a.read("find_endpoint", words="alerts of an account", limit=20)).body["endpoints"]
        assert "list_alerts" not in [row["endpoint"] for row in found]
