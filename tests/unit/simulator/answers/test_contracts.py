"""Search, derivatives and definitions: ambiguity, preflights, what exists and what does not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from support.simulator import AAPL, ES_INDEX, EUR_USD, FRIDAY, IBM, PAPER, Asker, utc


def test_a_symbol_finds_all_its_listings() -> None:
    rows = Asker()("search_contracts", symbol="AAPL")
    listings = [row for row in rows if "issuers" not in row]
    assert [row["description"] for row in listings] == ["NASDAQ", "EBS", "MEXI"]
    assert all(isinstance(row["conid"], str) for row in listings)
    assert rows[-1]["issuers"] == [{"id": "e1359061", "name": "Apple Inc"}]


def test_sections_name_the_months_of_derivatives() -> None:
    row = Asker()("search_contracts", symbol="ES")[0]
    sections = {section["secType"]: section for section in row["sections"]}
    assert set(sections) == {"IND", "FUT", "FOP"}
    assert sections["FUT"]["months"].split(";")[:2] == ["DEC26", "MAR27"]
    assert "exchange" in sections["FOP"]


@pytest.mark.parametrize(
    ("asked", "conids"),
    [
        ({"symbol": "CL"}, ["17340715", "5597"]),
        ({"symbol": "CL", "secType": "STK"}, ["5597"]),
        ({"symbol": "CL", "secType": "FUT"}, ["17340715"]),
        ({"symbol": "EUR.USD"}, [str(EUR_USD)]),
        ({"symbol": "USD.JPY"}, ["15016059"]),
        ({"symbol": "BRK B"}, ["72063691"]),
        ({"symbol": "SPX", "secType": "IND"}, ["416904"]),
        ({"symbol": "aapl", "secType": "OPT"}, [str(AAPL)]),
    ],
    ids=str,
)
def test_symbols_are_told_apart(asked: dict[str, str], conids: list[str]) -> None:
    assert {row["conid"] for row in Asker()("search_contracts", **asked)} == set(conids)


def test_a_name_search_is_short_and_opens_no_strikes() -> None:
    ask = Asker()
    rows = ask("search_contracts", symbol="apple inc", name="true")
    assert {row["conid"] for row in rows} >= {str(AAPL)}
    assert all("months" not in section for row in rows for section in row["sections"])
    assert ask("list_strikes", conid=AAPL, sectype="OPT", month="DEC26") == {"call": [], "put": []}


def test_an_unknown_symbol_is_not_an_error_status() -> None:
    ask = Asker()
    assert "error" in ask("search_contracts", symbol="NOSUCH")
    assert ask.status == 200
    ask("search_contracts", symbol="")
    assert ask.status == 400


def test_strikes_need_a_search_in_this_session() -> None:
    ask = Asker()
    asked = {"conid": AAPL, "sectype": "OPT", "month": "DEC26"}
    assert ask("list_strikes", **asked) == {"call": [], "put": []}
    assert ask("get_derivative_contracts", **asked, strike=280) == []
    ask("search_contracts", symbol="AAPL")
    strikes = ask("list_strikes", **asked)["call"]
    price = float(ask.snapshot(AAPL, fields="31")[0]["31"])
    assert strikes[0] < price < strikes[-1]
    assert ask("list_strikes", conid=AAPL, sectype="OPT", month="DEC35") == {"call": [], "put": []}


def test_a_month_holds_several_expiries_and_both_rights() -> None:
    ask = Asker()
    ask("search_contracts", symbol="AAPL")
    rows = ask("get_derivative_contracts", conid=AAPL, sectype="OPT", month="DEC26", strike=280)
    assert {row["right"] for row in rows} == {"C", "P"}
    expiries = {row["maturityDate"] for row in rows}
    assert expiries == {"20261204", "20261211", "20261218", "20261224"}
    calls = ask("get_derivative_contracts", conid=AAPL, sectype="OPT", month="DEC26", strike=280, right="C")
    assert len(calls) == len(expiries)


def test_some_possible_strikes_do_not_exist() -> None:
    ask = Asker()
    ask("search_contracts", symbol="AAPL")
    asked = {"conid": AAPL, "sectype": "OPT", "month": "NOV27", "right": "C"}
    strikes = ask("list_strikes", conid=AAPL, sectype="OPT", month="NOV27")["call"]
    found = {strike: bool(ask("get_derivative_contracts", **asked, strike=strike)) for strike in strikes}
    assert set(found.values()) == {True, False}


def test_options_on_futures_need_their_exchange() -> None:
    ask = Asker()
    ask("search_contracts", symbol="ES")
    asked = {"conid": ES_INDEX, "sectype": "FOP", "month": "DEC26"}
    assert ask("list_strikes", **asked) == {"call": [], "put": []}
    assert ask("list_strikes", **asked, exchange="CME")["call"]
    rows = ask("get_derivative_contracts", **asked, exchange="CME")
    assert {row["multiplier"] for row in rows} == {"50"}
    assert len({row["strike"] for row in rows}) > 10


def test_futures_of_a_month_are_found_alike_on_both_sides() -> None:
    ask = Asker()
    ask("search_contracts", symbol="ES")
    row = ask("get_derivative_contracts", conid=ES_INDEX, sectype="FUT", month="DEC26")[0]
    other = ask("list_futures", symbols="ES")["ES"][0]
    assert row["conid"] == other["conid"]
    assert other["expirationDate"] == 20261218


@pytest.mark.parametrize(
    ("endpoint_id", "query"),
    [
        ("list_strikes", {"conid": AAPL, "sectype": "OPT"}),
        ("list_strikes", {"conid": AAPL, "sectype": "OPT", "month": "2026-12"}),
        ("list_strikes", {"conid": AAPL, "sectype": "STK", "month": "DEC26"}),
        ("get_derivative_contracts", {"conid": AAPL, "sectype": "OPT", "month": "DEC26"}),
        ("get_derivative_contracts", {"conid": AAPL, "sectype": "OPT", "month": "DEC26", "strike": "high"}),
        ("get_derivative_contracts", {"conid": AAPL, "sectype": "OPT", "month": "DEC26", "strike": 280, "right": "X"}),
        ("get_derivative_contracts", {"sectype": "BOND"}),
        ("list_bond_filters", {"symbol": "STK", "issuerId": "e1"}),
        ("get_security_definitions", {"conids": ",".join(["1"] * 201)}),
        ("get_exchange_rate", {"source": "EUR", "target": "XXX"}),
        ("get_trading_schedule", {"assetClass": "CAT", "symbol": "AAPL"}),
        ("search_stocks", {}),
    ],
)
def test_incomplete_questions_are_refused(endpoint_id: str, query: dict[str, Any]) -> None:
    ask = Asker()
    ask("search_contracts", symbol="AAPL")
    body = ask(endpoint_id, **query)
    assert ask.status == 400
    assert body["error"].startswith("Bad Request: ")


def test_bonds_are_found_by_their_issuer() -> None:
    ask = Asker()
    issuer = ask("search_contracts", symbol="AAPL", secType="BOND")[0]["issuers"][0]["id"]
    found = ask("list_bond_filters", symbol="BOND", issuerId=issuer)["bondFilters"]
    filters = {row["displayText"]: row["options"] for row in found}
    rows = ask("get_derivative_contracts", sectype="BOND", issuerId=issuer)
    assert len(rows) == len(filters["Coupon"]) == 2
    assert ask("list_bond_filters", symbol="BOND", issuerId="e0")["bondFilters"][0]["options"] == []


@pytest.mark.parametrize(
    ("endpoint_id", "status"),
    [("get_contract_info", 500), ("list_contract_algos", 503), ("get_contract_info_and_rules", 500)],
)
def test_an_unknown_contract_fails_as_each_operation_does(endpoint_id: str, status: int) -> None:
    ask = Asker()
    ask(endpoint_id, path={"conid": "1"})
    assert ask.status == status


def test_definitions_leave_out_unknown_contracts() -> None:
    rows = Asker()("get_security_definitions", conids=f"{AAPL},1,{IBM}")["secdef"]
    assert [row["ticker"] for row in rows] == ["AAPL", "IBM"]


def test_stocks_are_grouped_by_company() -> None:
    ask = Asker()
    body = ask("search_stocks", symbols="RY,aapl")
    assert body["aapl"] == []
    contracts = body["RY"][0]["contracts"]
    assert {(row["exchange"], row["isUS"]) for row in contracts} == {("TSE", False), ("NYSE", True)}


def test_algos_come_with_the_second_answer() -> None:
    ask = Asker()
    path = {"conid": str(AAPL)}
    assert ask("list_contract_algos", path=path) == {"algos": []}
    names = [row["id"] for row in ask("list_contract_algos", path=path)["algos"]]
    assert "Adaptive" in names
    one = ask("list_contract_algos", path=path, algos="Vwap", addParams=1, addDescription=1)["algos"]
    assert [row["id"] for row in one] == ["Vwap"]
    assert one[0]["parameters"]
    ask("list_contract_algos", path=path, algos=";".join("abcdefghi"))
    assert ask.status == 400


def test_rules_follow_the_side_and_the_kind() -> None:
    ask = Asker()
    buy = ask("get_contract_rules", body={"conid": AAPL, "isBuy": True})
    sell = ask("get_contract_rules", body={"conid": AAPL, "isBuy": False})
    assert buy["limitPrice"] > sell["limitPrice"]
    assert buy["canTradeAcctIds"] == [PAPER]
    assert ask("get_contract_rules", body={"conid": 416904})["error"]
    ask("get_contract_rules", body={"conid": AAPL, "modifyOrder": True})
    assert ask.status == 400


def test_exchange_rates_are_those_of_the_pair() -> None:
    ask = Asker()
    pair = next(row for row in ask("list_currency_pairs", currency="EUR")["EUR"] if row["ccyPair"] == "USD")
    rate = ask("get_exchange_rate", source="EUR", target="USD")["rate"]
    assert ask.snapshot(pair["conid"], fields="31")[0]["31"] == f"{round(rate / 0.00005) * 0.00005:.5f}"
    assert ask("list_currency_pairs", currency="XXX") == {}


def test_schedules_skip_weekends_and_holidays() -> None:
    ask = Asker(now=utc("2026-11-25 15:00:00"))
    days = list(ask("get_contract_trading_schedule", conid=AAPL)["schedules"])
    assert days[:3] == ["20261124", "20261125", "20261127"]
    assert len(days) == 6
    venue = ask("get_trading_schedule", assetClass="STK", symbol="AAPL", exchange="NASDAQ")[0]
    pattern = {row["tradingScheduleDate"]: row for row in venue["schedules"]}
    assert pattern["20000101"]["tradingtimes"] == []
    assert pattern["20000103"]["sessions"][0]["openingTime"] == "0930"
    assert pattern["20261126"]["sessions"] == []


def test_events_are_found_from_the_tree_to_their_rules() -> None:
    ask = Asker()
    markets = [
        row for node in ask("list_forecast_categories")["categories"].values() for row in node.get("markets", [])
    ]
    ask("list_forecast_market_contracts", underlyingConid=markets[0]["product_conid"])
    assert ask.status == 404
    contracts = ask("list_forecast_market_contracts", underlyingConid=markets[0]["conid"])["contracts"]
    yes = contracts[0]
    details = ask("get_forecast_contract", conid=yes["conid"])
    assert details["conid_yes"] == yes["conid"]
    assert f"{yes['strike']:g}" in details["question"]
    assert float(ask("get_forecast_contract_rules", conid=yes["conid"])["threshold"]) == yes["strike"]
    assert len(ask("get_forecast_contract_schedule", conid=yes["conid"])["trading_schedules"]) == 7
    ask("get_forecast_contract", conid=AAPL)
    assert ask.status == 404


@pytest.mark.parametrize("location", ["STK.US.MAJOR", "STK.NYSE"])
def test_a_scan_ranks_what_it_is_asked_for(location: str) -> None:
    ask = Asker()
    stocks = [contract.conid for contract in ask.world.contracts if contract.kind == "STK" and contract.is_us]
    shown = ask.snapshot(*stocks[:100], fields="83")
    shown += Asker(world=ask.world, now=ask.now - 3).snapshot(*stocks[100:], fields="83")
    changes = {row["conid"]: float(row["83"].rstrip("%")) for row in shown}
    rows = ask("run_scanner", body={"instrument": "STK", "type": "TOP_PERC_GAIN", "location": location})["contracts"]
    assert len(rows) == 50
    assert all("scan_data" not in row for row in rows)
    ranked = [changes[row["con_id"]] for row in rows]
    assert ranked[0] > ranked[-1]
    assert ranked == sorted(ranked, reverse=True)


def test_scan_filters_are_kept() -> None:
    ask = Asker()
    asked = {"instrument": "STK", "type": "MOST_ACTIVE", "location": "STK.US.MAJOR"}
    rows = ask("run_scanner", body=asked | {"filter": [{"code": "priceBelow", "value": "20"}]})["contracts"]
    prices = [float(row["31"].lstrip("H")) for row in ask.snapshot(*(row["con_id"] for row in rows), fields="31")]
    assert 0 < len(prices) < 10
    assert max(prices) <= 20.1
    none = ask("run_scanner", body=asked | {"filter": [{"code": "priceAbove", "value": 1e9}]})
    assert none["contracts"] == []


def test_every_scan_in_the_parameters_can_be_run() -> None:
    ask = Asker()
    parameters = ask("get_scanner_parameters")
    for tree in parameters["location_tree"]:
        for location in tree["locations"]:
            for scan in parameters["scan_type_list"]:
                body = {"instrument": tree["type"], "type": scan["code"], "location": location["type"]}
                found = ask("run_scanner", body=body)
                assert ask.status == 200
                assert scan["code"] == "HALTED" or found["contracts"], body
    for row in parameters["filter_list"]:
        ask(
            "run_scanner",
            body={
                "instrument": "STK",
                "type": "MOST_ACTIVE",
                "location": "STK.US.MAJOR",
                "filter": [{"code": row["code"], "value": 1}],
            },
        )
        assert ask.status == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"type": "NO_SUCH"}, 500),
        ({"location": "MOON"}, 500),
        ({"instrument": None}, 400),
        ({"filter": [{"code": "x", "value": 1}]}, 400),
        ({"filter": [{"code": "priceAbove", "value": "high"}]}, 400),
    ],
    ids=str,
)
def test_bad_scans_are_refused(change: dict[str, Any], status: int) -> None:
    ask = Asker()
    ask("run_scanner", body={"instrument": "STK", "type": "MOST_ACTIVE", "location": "STK.US.MAJOR"} | change)
    assert ask.status == status


def test_derivatives_move_on_with_the_calendar() -> None:
    later = FRIDAY + 400 * 86400
    ask = Asker(now=later)
    rows = ask("list_futures", symbols="ES")["ES"]
    assert all(date.fromisoformat(str(row["expirationDate"])) >= date(2027, 12, 1) for row in rows)
