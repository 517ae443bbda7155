"""Accounts, positions and balances: pages, caches, preflights, and sums that agree."""

from __future__ import annotations

from typing import Any

import pytest

from ibkr.catalogue import load
from support.simulator import AAPL, FRIDAY, LIVE, PAPER, SAVINGS, Asker


def pages(ask: Asker, account: str) -> list[list[dict[str, Any]]]:
    found = []
    while page := ask("list_positions", path={"accountId": account, "pageId": str(len(found))}):
        found.append(page)
    return found


def test_positions_come_in_pages_of_a_hundred_until_an_empty_one() -> None:
    ask = Asker()
    found = pages(ask, PAPER)
    assert [len(page) for page in found[:-1]] == [100] * (len(found) - 1)
    assert len(found) >= 3
    conids = [row["conid"] for page in found for row in page]
    assert len(set(conids)) == len(conids)


def test_every_position_is_quantity_times_price_times_multiplier() -> None:
    for page in pages(Asker(), PAPER):
        for row in page:
            value = row["position"] * row["mktPrice"] * (row["multiplier"] or 1)
            assert row["mktValue"] == pytest.approx(value, abs=0.01), row["contractDesc"]


@pytest.mark.parametrize(("sort", "field"), [("mktValue", "mktValue"), ("position", "position"), ("conid", "conid")])
def test_positions_are_sorted_on_request(sort: str, field: str) -> None:
    ask = Asker()
    path = {"accountId": PAPER, "pageId": "0"}
    rising = [row[field] for row in ask("list_positions", path=path, sort=sort, direction="a")]
    falling = [row[field] for row in ask("list_positions", path=path, sort=sort, direction="d")]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)


def test_portal_positions_lag_until_they_are_refreshed() -> None:
    ask = Asker()
    path = {"accountId": PAPER, "pageId": "0"}
    before = ask("list_positions", path=path)
    ask.now += 100
    assert ask("list_positions", path=path) == before
    fresh = ask("list_fresh_positions", path={"accountId": PAPER})
    ask("refresh_positions", path={"accountId": PAPER}, body={})
    after = ask("list_positions", path=path)
    assert after != before
    assert [row["mktPrice"] for row in after] == [row["marketPrice"] for row in fresh[:100]]


def test_one_position_is_found_by_its_contract() -> None:
    ask = Asker()
    path = {"accountId": PAPER, "conid": str(AAPL)}
    assert "name" not in ask("get_position", path=path)[0]
    row = ask("get_position", path=path)[0]
    assert (row["ticker"], row["name"]) == ("AAPL", "APPLE INC")
    assert ask("list_positions_in_contract", path={"conid": str(AAPL)})[PAPER] == [row]
    assert ask("get_position", path={"accountId": PAPER, "conid": "1"}) == []
    assert ask("list_positions_in_contract", path={"conid": "1"}) == {}


def test_the_live_user_must_choose_between_accounts() -> None:
    ask = Asker("live")
    body = ask("list_brokerage_accounts")
    assert body["accounts"] == [LIVE, SAVINGS]
    assert body["isPaper"] is False
    assert body["aliases"][SAVINGS] == "Savings"
    assert body["selectedAccount"] == LIVE
    assert Asker()("list_brokerage_accounts")["isPaper"] is True


def test_the_selected_account_holds_for_the_brokerage_session() -> None:
    ask = Asker("live")
    assert ask("select_account", body={"acctId": SAVINGS}) == {"set": True, "acctId": SAVINGS}
    assert ask("select_account", body={"acctId": SAVINGS}) == {"success": "Account already set"}
    assert ask("list_brokerage_accounts")["selectedAccount"] == SAVINGS
    assert Asker(world=ask.world)("list_brokerage_accounts")["selectedAccount"] == LIVE
    ask("select_account", body={"acctId": PAPER})
    assert ask.status == 500
    ask("select_account", body={})
    assert ask.status == 400


def test_balances_agree_with_each_other() -> None:
    ask = Asker("live")
    for account in ask("list_brokerage_accounts")["accounts"]:
        path = {"accountId": account}
        value = ask.world.valuation(next(a for a in ask.world.accounts if a.id == account), FRIDAY)
        ledger = ask("get_ledger", path=path)
        assert len(ledger) >= 4
        base = ledger.pop("BASE")
        total = sum(row["netliquidationvalue"] * row["exchangerate"] for row in ledger.values())
        assert base["netliquidationvalue"] == pytest.approx(total, rel=1e-5)
        assert base["netliquidationvalue"] == pytest.approx(value.net_liquidation, abs=0.02)
        summary = ask("get_portfolio_summary", path=path)
        assert summary["netliquidation"]["amount"] == pytest.approx(value.net_liquidation, abs=0.01)
        parts = summary["netliquidation-s"]["amount"] + summary["netliquidation-c"]["amount"]
        assert parts == pytest.approx(summary["netliquidation"]["amount"], abs=0.02)
        brokerage = ask("get_brokerage_account_summary", path=path)
        assert brokerage["netLiquidationValue"] == pytest.approx(value.net_liquidation, abs=0.01)
        assert len(brokerage["cashBalances"]) == 4


def test_allocation_adds_up_to_the_net_liquidation() -> None:
    ask = Asker()
    body = ask("get_account_allocation", path={"accountId": PAPER})
    parts = [*body["assetClass"]["long"].values(), *body["assetClass"]["short"].values()]
    whole = ask("get_brokerage_account_summary", path={"accountId": PAPER})["netLiquidationValue"]
    assert sum(parts) == pytest.approx(whole, abs=1)
    ask("list_positions", path={"accountId": PAPER, "pageId": "0"})
    assert ask("get_allocation_of_accounts", body={"acctIds": [PAPER]}) == body
    assert ask("get_consolidated_allocation", body={"acctIds": [PAPER]}) == body


def test_profit_and_loss_is_empty_at_first() -> None:
    ask = Asker("live")
    assert ask("get_profit_and_loss") == {"upnl": {}}
    rows = ask("get_profit_and_loss")["upnl"]
    assert set(rows) == {f"{LIVE}.Core"}
    assert set(rows[f"{LIVE}.Core"]) >= {"rowType", "dpl", "nl", "upl", "mv"}
    ask("select_account", body={"acctId": SAVINGS})
    assert set(ask("get_profit_and_loss")["upnl"]) == {f"{SAVINGS}.Core"}


def test_combinations_are_shown_only_where_there_are_some() -> None:
    legs = Asker()("list_combo_positions", path={"accountId": PAPER})[0]["legs"]
    assert [leg["ratio"] for leg in legs] == [1, -1]
    ask = Asker("live")
    ask("list_combo_positions", path={"accountId": SAVINGS})
    assert ask.status == 500


@pytest.mark.parametrize(
    "endpoint_id",
    # The last two have nothing to show with a preflight either.
    sorted(
        {row.id for row in load() if row.preflight and "open_hmds_session" not in row.preflight}
        - {"refresh_positions", "list_more_notifications"}
    ),
)
def test_without_its_preflight_an_operation_is_empty_or_refused(endpoint_id: str) -> None:
    endpoint = load()[endpoint_id]
    ask = Asker(ready=False)
    path = {"accountId": PAPER, "pageId": "0", "conid": str(AAPL), "orderId": "1", "modelCode": "Balanced"}
    query = {"conid": AAPL, "sectype": "OPT", "month": "JAN27", "strike": 280, "right": "C", "conids": AAPL}
    body = ask(endpoint_id, path=path, body={"orders": [], "acctIds": [PAPER]}, **query)
    if "list_brokerage_accounts" in endpoint.preflight:
        assert ask.status == 400
    else:
        assert ask.status == 500 or body in ([], {}, {"call": [], "put": []})


@pytest.mark.parametrize("period", ["1D", "7D", "MTD", "1M", "YTD", "1Y"])
def test_performance_ends_at_todays_value(period: str) -> None:
    ask = Asker()
    body = ask("get_performance", body={"acctIds": [PAPER], "period": period})
    nav, cps = body["nav"]["data"][0], body["cps"]["data"][0]
    whole = ask("get_brokerage_account_summary", path={"accountId": PAPER})["netLiquidationValue"]
    assert nav["navs"][-1] == pytest.approx(whole, abs=0.01)
    assert len(nav["navs"]) == len(cps["returns"]) == len(body["nav"]["dates"])
    assert cps["returns"][-1] == pytest.approx(nav["navs"][-1] / nav["startNAV"]["val"] - 1, abs=1e-4)
    assert body["nav"]["dates"][-1] == "20261120"


def test_all_periods_hide_under_the_account() -> None:
    ask = Asker("live")
    body = ask("get_performance_all_periods", body={"acctIds": [LIVE]})
    one = ask("get_performance", body={"acctIds": [LIVE], "period": "1M"})
    assert body[LIVE]["1M"]["nav"] == one["nav"]["data"][0]["navs"]
    assert "Consolidated" in ask("get_performance_all_periods", body={"acctIds": [LIVE, SAVINGS]})


@pytest.mark.parametrize(
    ("endpoint_id", "body"),
    [
        ("get_performance", {"acctIds": [PAPER], "period": "3M"}),
        ("get_performance", {"period": "1M"}),
        ("get_performance_all_periods", {"acctIds": [LIVE]}),
        ("list_transactions", {"acctIds": [PAPER], "currency": "USD"}),
        ("list_transactions", {"acctIds": [PAPER], "conids": [1, 2], "currency": "USD"}),
        ("list_transactions", {"acctIds": [PAPER], "conids": [AAPL]}),
        ("get_consolidated_allocation", {}),
        ("get_consolidated_allocation", None),
    ],
)
def test_incomplete_questions_to_the_analyst_are_refused(endpoint_id: str, body: Any) -> None:
    ask = Asker()
    ask(endpoint_id, body=body)
    assert ask.status == 400


def test_transactions_are_of_what_is_held() -> None:
    ask = Asker()
    asked = {"acctIds": [PAPER], "currency": "USD", "days": 60}
    rows = ask("list_transactions", body=asked | {"conids": [AAPL]})["transactions"]
    assert {row["conid"] for row in rows} == {AAPL}
    dealt = [row for row in rows if row["type"] in {"Buy", "Sell"}]
    assert all(row["amt"] == pytest.approx(-row["qty"] * row["pr"], abs=0.01) for row in dealt)
    assert ask("list_transactions", body=asked | {"conids": [387289]})["transactions"] == []
