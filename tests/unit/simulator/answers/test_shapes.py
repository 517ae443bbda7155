"""Every operation of the catalogue answers, with the fields that clients read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ib_simulator.answers import ANSWERS
from ib_simulator.world import World
from ibkr.catalogue import load
from support.simulator import AAPL, EUR_USD, LIVE, PAPER, Asker

SESSION = {
    "tickle",
    "get_auth_status",
    "open_brokerage_session",
    "validate_sign_in",
    "log_out",
    "reauthenticate",
    "reauthenticate_by_get",
    "open_websocket",
}

ACCOUNT = {"path": {"accountId": PAPER}}
STOCK = {"path": {"conid": str(AAPL)}}
MODEL = {"body": {"reqID": 5, "model": "Balanced"}}
GROUP = {"name": "Half", "accounts": [{"name": PAPER}], "default_method": "E"}
TICKET = {"conid": AAPL, "orderType": "LMT", "side": "BUY", "quantity": 5, "price": 200.0, "tif": "DAY"}
PRESETS = {
    "group_auto_close_positions": True,
    "default_method_for_all": "E",
    "profiles_auto_close_positions": False,
    "strict_credit_check": False,
    "group_proportional_allocation": False,
}
SUMMARY_SEGMENTS = "total securities commodities"
DONE = "V T"

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("list_account_owners", ACCOUNT, "accountId users applicant"),
    ("get_contract_trading_schedule", {"conid": AAPL}, "exchange_time_zone schedules"),
    ("get_model_presets", MODEL, "reqID keepModelOpen useNonBaseCcy"),
    ("save_model_presets", MODEL, "reqID success"),
    ("list_model_accounts", MODEL, "accountInfoList baseCcyMaster"),
    ("draft_model_investment", {"body": {"reqID": 5, "model": "Balanced", "accountList": []}}, "subscriptionStatus"),
    ("list_model_investments", MODEL, "accountList"),
    ("list_models", MODEL, "models masterAccount"),
    ("list_model_positions", MODEL, "positionList cash nlv"),
    ("save_model", {"body": {"reqID": 5, "model": "New", "positionTargets": []}}, "success"),
    ("submit_model_transfers", MODEL, "success"),
    ("get_model_summary", MODEL, "model desc numAccounts"),
    (
        "draft_model_investment_in_tws",
        {"body": {"reqID": 5, "model": "Balanced", "accountList": []}},
        "subscriptionStatus",
    ),
    ("list_forecast_categories", {}, "categories"),
    ("get_forecast_contract", {"conid": 740116014}, "question conid_yes conid_no strike"),
    ("list_forecast_market_contracts", {"underlyingConid": 739000001}, "contracts market_name payout"),
    ("get_forecast_contract_rules", {"conid": 740116014}, "threshold payout measured_period"),
    ("get_forecast_contract_schedule", {"conid": 740116014}, "trading_schedules timezone"),
    ("list_delivery_options", {}, "M E"),
    ("add_delivery_device", {"body": {"deviceName": "a", "deviceId": "b", "enabled": True}}, DONE),
    ("set_email_delivery", {"enabled": "true"}, DONE),
    ("get_fyi_disclaimer", {"path": {"typecode": "BA"}}, "FC DT"),
    ("accept_fyi_disclaimer", {"path": {"typecode": "BA"}}, DONE),
    ("list_notifications", {"max": 10}, "[R D MS MD ID FC"),
    ("list_more_notifications", {"id": "2026112000000005"}, "[R D MS MD ID FC"),
    ("mark_notification_read", {"path": {"notificationId": "2026112000000005"}}, "V T P"),
    ("list_fyi_settings", {}, "[FC FN FD H"),
    ("set_fyi_setting", {"path": {"typecode": "BA"}, "body": {"enabled": False}}, DONE),
    ("count_unread_notifications", {}, "BN"),
    ("select_account", {"body": {"acctId": PAPER}}, "success"),
    ("get_alert", {"path": {"alertId": "833967258"}, "type": "Q"}, "alert_name conditions tif"),
    ("list_allocatable_accounts", {}, "accounts"),
    ("list_allocation_groups", {}, "data"),
    ("add_allocation_group", {"body": GROUP}, "success"),
    ("modify_allocation_group", {"body": GROUP | {"prev_name": "All equal"}}, "success"),
    ("delete_allocation_group", {"body": {"name": "All equal"}}, "success"),
    ("get_allocation_group", {"body": {"name": "All equal"}}, "name accounts default_method"),
    ("get_allocation_presets", {}, "default_method_for_all strict_credit_check"),
    ("set_allocation_presets", {"body": PRESETS}, "success"),
    ("get_mobile_alert", {}, "tool_id alert_name conditions"),
    ("get_order_status", {"path": {"orderId": "1200000702"}}, "order_status total_size cum_fill"),
    ("list_live_orders", {}, "orders snapshot"),
    ("get_profit_and_loss", {}, "upnl"),
    ("list_trades", {"days": 7}, "[execution_id symbol side size price trade_time_r commission account"),
    ("activate_alert", ACCOUNT | {"body": {"alertId": 833967258, "alertActive": 0}}, "success order_id"),
    ("delete_alert", {"path": {"accountId": PAPER, "alertId": "833967258"}, "body": {}}, "success"),
    ("list_alerts", ACCOUNT, "[order_id account alert_name alert_active"),
    ("cancel_order", {"path": {"accountId": PAPER, "orderId": "1200000702"}}, "msg order_id conid account"),
    ("preview_orders", ACCOUNT | {"body": {"orders": [TICKET]}}, "amount equity initial maintenance warn error"),
    ("place_orders", ACCOUNT | {"body": {"orders": [TICKET]}}, "[id message messageIds"),
    (
        "modify_order",
        {"path": {"accountId": PAPER, "orderId": "1200000702"}, "body": TICKET | {"conid": 8314}},
        "[id message messageIds",
    ),
    ("get_brokerage_account_summary", ACCOUNT, "netLiquidationValue buyingPower cashBalances availableFunds"),
    ("get_available_funds", ACCOUNT, SUMMARY_SEGMENTS),
    ("get_balances", ACCOUNT, SUMMARY_SEGMENTS),
    ("get_margins", ACCOUNT, SUMMARY_SEGMENTS),
    ("get_market_values", ACCOUNT, "USD EUR GBP"),
    ("list_brokerage_accounts", {}, "accounts acctProps aliases allowFeatures selectedAccount isPaper chartPeriods"),
    ("get_contract_rules", {"body": {"conid": AAPL}}, "orderTypes tifTypes increment forceOrderPreview"),
    ("list_contract_algos", STOCK, "algos"),
    ("get_contract_info", STOCK, "con_id symbol company_name instrument_type currency exchange"),
    ("get_contract_info_and_rules", STOCK, "con_id symbol rules"),
    ("list_currency_pairs", {"currency": "USD"}, "USD"),
    ("get_exchange_rate", {"source": "EUR", "target": "USD"}, "rate"),
    (
        "get_price_history",
        {"conid": AAPL, "period": "1d", "bar": "5min"},
        "data points volumeFactor priceFactor symbol",
    ),
    ("get_price_snapshot", {"conids": AAPL, "fields": "31"}, "[conid conidEx"),
    ("unsubscribe_all_market_data", {}, "unsubscribed"),
    ("suppress_order_questions", {"body": {"messageIds": ["o163"]}}, "status"),
    ("reset_suppressed_questions", {"body": {}}, "status"),
    ("get_scanner_parameters", {}, "scan_type_list instrument_list filter_list location_tree"),
    (
        "run_scanner",
        {"body": {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR", "filter": []}},
        "contracts scan_data_column_name",
    ),
    ("list_bond_filters", {"symbol": "BOND", "issuerId": "e1359061"}, "bondFilters"),
    ("get_derivative_contracts", {"sectype": "STK", "conid": AAPL}, "[conid ticker secType currency validExchanges"),
    ("search_contracts", {"symbol": "AAPL"}, "[conid companyName symbol description sections"),
    ("search_contracts_by_body", {"body": {"symbol": "AAPL"}}, "[conid companyName symbol description sections"),
    ("list_strikes", {"conid": AAPL, "sectype": "OPT", "month": "DEC26"}, "call put"),
    ("delete_watchlist", {"id": "100"}, "data action"),
    ("get_watchlist", {"id": "100"}, "id name instruments readOnly hash"),
    ("save_watchlist", {"body": {"id": "7", "name": "Mine", "rows": [{"C": AAPL}]}}, "id name hash readOnly"),
    ("list_watchlists", {}, "data action MID"),
    ("get_consolidated_allocation", {"body": {"acctIds": [PAPER]}}, "assetClass sector group"),
    ("get_performance_all_periods", {"body": {"acctIds": [PAPER]}}, f"{PAPER} currencyType included"),
    ("get_performance", {"body": {"acctIds": [PAPER], "period": "1M"}}, "nav cps tpps currencyType nd pm rc"),
    (
        "list_transactions",
        {"body": {"acctIds": [PAPER], "conids": [AAPL], "currency": "USD", "days": 60}},
        "transactions rpnl from to includesRealTime",
    ),
    ("list_portfolio_accounts", {}, "[id accountId currency type accountStatus parent desc"),
    ("list_positions_in_contract", STOCK, PAPER),
    ("list_subaccounts", {}, "[id accountId currency type"),
    ("list_subaccounts_by_page", {"page": 0}, "metadata subaccounts"),
    ("get_account_allocation", ACCOUNT, "assetClass sector group"),
    ("list_combo_positions", ACCOUNT, "[name description legs positions"),
    ("get_ledger", ACCOUNT, "BASE USD EUR GBP"),
    ("get_account_meta", ACCOUNT, "id accountId currency"),
    ("get_position", {"path": {"accountId": PAPER, "conid": str(AAPL)}}, "[acctId conid position mktPrice mktValue"),
    ("refresh_positions", ACCOUNT | {"body": {}}, "message"),
    (
        "list_positions",
        {"path": {"accountId": PAPER, "pageId": "0"}},
        "[acctId conid contractDesc position mktPrice mktValue currency avgCost unrealizedPnl assetClass",
    ),
    ("get_portfolio_summary", ACCOUNT, "netliquidation netliquidation-s netliquidation-c availablefunds accountcode"),
    ("list_fresh_positions", ACCOUNT, "[conid position description marketPrice marketValue currency secType"),
    ("list_exchange_contracts", {"exchange": "NYSE"}, "[ticker conid exchange"),
    ("list_futures", {"symbols": "ES,NQ"}, "ES NQ"),
    ("get_security_definitions", {"conids": f"{AAPL},{EUR_USD}"}, "secdef"),
    ("get_trading_schedule", {"assetClass": "STK", "symbol": "AAPL"}, "[id tradeVenueId exchange timezone schedules"),
    ("search_stocks", {"symbols": "AAPL,IBM"}, "AAPL IBM"),
]
"""Operation id, arguments, and the keys of the answer (of each row after a bracket)."""

REFUSED = {
    "save_alert": 403,
    "place_model_orders": 403,
    "search_dynamic_accounts": 503,
    "select_dynamic_account": 401,
    "get_regulatory_snapshot": 404,
    "open_hmds_session": 404,
    "get_hmds_history": 404,
    "run_hmds_market_scanner": 404,
    "get_hmds_scanner_parameters": 404,
    "run_hmds_scanner": 404,
    "get_allocation_of_accounts": 500,
    "unsubscribe_market_data": 500,
    "answer_order_question": 400,
}
"""What a paper user without further ado is refused, and how."""

TEXT = {"answer_order_prompt", "delete_delivery_device"}


def test_every_operation_of_the_catalogue_is_answered() -> None:
    assert set(ANSWERS) == {endpoint.id for endpoint in load()} - SESSION


def test_every_answer_is_tried_here() -> None:
    assert {case[0] for case in CASES} | set(REFUSED) | TEXT == set(ANSWERS)


@pytest.mark.parametrize(("endpoint_id", "arguments", "keys"), CASES, ids=[case[0] for case in CASES])
def test_answers_hold_the_documented_fields(endpoint_id: str, arguments: dict[str, Any], keys: str) -> None:
    ask = Asker()
    ask.world.cold_notifications = 0
    if endpoint_id in {"get_order_status", "cancel_order", "modify_order"}:
        ask.twice("list_live_orders")
    if endpoint_id == "list_trades":
        ask(endpoint_id, **arguments)

    body = ask(endpoint_id, **arguments)

    assert ask.status == 200, body
    json.dumps(body)
    wanted = set(keys.removeprefix("[").split())
    if keys.startswith("["):
        assert body, "no rows"
        assert all(wanted <= set(row) for row in body)
    else:
        assert wanted <= set(body)


@pytest.mark.parametrize(("endpoint_id", "status"), REFUSED.items())
def test_refused_operations_answer_as_live(endpoint_id: str, status: int) -> None:
    ask = Asker()
    path = {"accountId": PAPER, "modelCode": "Balanced", "searchPattern": "U", "replyId": "gone"}
    bodies: dict[str, Any] = {
        "get_allocation_of_accounts": {"acctIds": [PAPER]},
        "unsubscribe_market_data": {"conid": AAPL},
        "answer_order_question": {"confirmed": True},
    }

    body = ask(endpoint_id, path=path, body=bodies.get(endpoint_id, {}))

    assert ask.status == status
    assert body


def test_a_prompt_is_answered_in_plain_text() -> None:
    ask = Asker()
    body = ask("answer_order_prompt", body={"orderId": 1, "reqId": "2", "text": "Yes"})
    assert (ask.status, ask.media) == (200, "text/plain")
    assert isinstance(body, str)


@pytest.mark.parametrize("path", ["accountId"])
@pytest.mark.parametrize("endpoint_id", [endpoint.id for endpoint in load() if "{accountId}" in endpoint.path])
def test_an_unknown_account_is_refused(endpoint_id: str, path: str) -> None:
    ask = Asker()
    body = ask(endpoint_id, path={path: LIVE, "orderId": "1", "pageId": "0", "conid": "1", "alertId": "1"}, body={})
    assert ask.status == 400
    assert body["error"].startswith("Bad Request:")


ODD: list[Any] = [None, True, -1, 1.5, 10**400, "", "x", "²", [], [[]], [None], {}, {"C": {}}, "9" * 5000]


@pytest.mark.parametrize("endpoint_id", sorted(ANSWERS))
def test_odd_parameters_never_break_an_answer(endpoint_id: str) -> None:
    world, endpoint = World(7, "paper"), load()[endpoint_id]
    for value in map(str, ODD):
        ask = Asker(world=world)
        query = dict.fromkeys((parameter.name for parameter in endpoint.query), value)
        ask(endpoint_id, path=dict.fromkeys(endpoint.path_parameters, value), body={}, **query)
        for name in endpoint.path_parameters:
            path = {"accountId": PAPER, "conid": str(AAPL), "pageId": "0", "orderId": "1200000702"} | {name: value}
            ask(endpoint_id, path=dict.fromkeys(endpoint.path_parameters, "1") | path, body={})
        assert 200 <= ask.status < 600


@pytest.mark.parametrize(
    ("endpoint_id", "arguments"), [case[:2] for case in CASES if "body" in case[1]], ids=lambda value: str(value)[:40]
)
def test_odd_bodies_never_break_an_answer(endpoint_id: str, arguments: dict[str, Any]) -> None:
    world, body = World(7, "paper"), arguments["body"]
    bodies = [*ODD, *(body | {name: value} for name in body for value in ODD)]
    for name, inner in body.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            bodies += [body | {name: [inner[0] | {key: value}]} for key in inner[0] for value in ODD]
    for odd in bodies:
        ask = Asker(world=world)
        ask("suppress_order_questions", body={"messageIds": ["o163", "o354", "o383", "o10331"]})
        ask(endpoint_id, **(arguments | {"body": odd}))
        assert 200 <= ask.status < 600
        json.dumps(ask("list_live_orders"))
        json.dumps(ask("list_live_orders"))


def test_the_same_seed_answers_the_same() -> None:
    def everything(seed: int) -> str:
        ask = Asker(seed=seed)
        return json.dumps([ask(name, **arguments) for name, arguments, _ in CASES], sort_keys=True)

    assert everything(7) == everything(7)
    assert everything(7) != everything(8)
