"""Accounts, positions, orders and the past of an account, as an agent reads them through the guard."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ib_simulator.faults.faults import FaultSpec
from ib_simulator.world.accounts import ACCOUNTS
from support.agent import agent
from support.backend import BACKENDS, Backend

pytestmark = pytest.mark.looptime

PAPER = ACCOUNTS["paper"][0].id
MAIN, SAVINGS = (account.id for account in ACCOUNTS["live"])


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_only_account_needs_no_name(backend: Backend) -> None:
    async with agent(backend=backend) as a:
        listed = await a.read("list_accounts")
        assert listed.body["default"] == PAPER
        assert [(row["account"], row["mode"]) for row in listed.rows("accounts")] == [(PAPER, "paper")]
        assert (await a.read("get_account_balances")).body["account"] == PAPER


async def test_of_several_accounts_one_has_to_be_named_by_id_or_alias() -> None:
    async with agent("live") as a:
        refused = await a.call("get_account_balances")
        assert refused.error["code"] == "invalid_request"
        assert MAIN in refused.error["action"]
        assert SAVINGS in refused.error["action"]
        assert (await a.read("list_accounts")).body["default"] is None
        for name in (SAVINGS, SAVINGS.lower(), "savings"):
            assert (await a.read("get_account_balances", account=name)).body["account"] == SAVINGS


async def test_the_default_account_is_meant_when_none_is_named() -> None:
    async with agent("live", settings={"default_account": SAVINGS}) as a:
        assert (await a.read("get_account_balances")).body["account"] == SAVINGS
        assert (await a.read("get_account_balances", account=MAIN)).body["account"] == MAIN


async def test_an_unknown_account_is_refused_with_those_that_exist() -> None:
    async with agent() as a:
        refused = await a.call("get_account_positions", account="U9999999")
        assert refused.error["code"] == "invalid_request"
        assert "U9999999" in refused.error["message"]
        assert PAPER in refused.error["action"]


async def test_summary_has_names_currency_and_the_profit_of_today() -> None:
    async with agent() as a:
        summary = (await a.read("get_account_summary")).body
        assert summary["currency"] == "USD"
        assert summary["figures"]["net_liquidation"] > 0
        assert {"cash", "buying_power", "maintenance_margin"} <= set(summary["figures"])
        assert set(summary["pnl"]) == {"currency", "rounded", "daily", "unrealized"}
        everything = (await a.read("get_account_summary", all_figures=True)).body["figures"]
        assert set(summary["figures"]) < set(everything)


async def test_without_a_brokerage_session_the_portal_still_answers() -> None:
    async with agent(brokerage=False) as a:
        summary = (await a.read("get_account_summary")).body
        assert summary["figures"]["net_liquidation"] > 0
        assert "pnl" not in summary
        assert summary["pnl_missing"]
        assert (await a.read("get_account_positions", limit=1)).rows("positions")
        assert (await a.call("get_account_orders")).error["code"] == "session_reopening"


async def test_balances_name_the_base_currency_by_its_code_and_tell_each_currency() -> None:
    async with agent() as a:
        answer = await a.read("get_account_balances")
        assert answer.body["base_currency"] == "USD"
        rows = answer.rows("balances")
        assert "BASE" not in {row["currency"] for row in rows}
        euro = next(row for row in rows if row["currency"] == "EUR")
        assert euro["cash"] == ACCOUNTS["paper"][0].cash["EUR"]


async def test_positions_come_in_portions_without_gap_or_repetition() -> None:
    async with agent() as a:
        whole = (await a.read("get_account_positions", limit=1000)).rows("positions")
        assert len(whole) > 100
        seen, cursor = [], None
        while True:
            part = await a.read("get_account_positions", limit=70, cursor=cursor)
            seen += part.rows("positions")
            cursor = part.body["positions"].get("more")
            if cursor is None:
                break
        assert [row["conid"] for row in seen] == [row["conid"] for row in whole]


def _shares(first: int, count: int) -> list[dict[str, Any]]:
    about = {"assetClass": "STK", "currency": "USD", "position": 1, "mktPrice": 2, "mktValue": 2}
    return [
        {"conid": conid, "ticker": f"T{conid}", "contractDesc": f"T{conid}", **about}
        for conid in range(first, first + count)
    ]


@pytest.mark.parametrize("size", [30, 100, 7])
async def test_positions_are_read_to_the_end_whatever_the_size_of_a_page(size: int) -> None:
    async with agent() as a:
        for page in range(4):
            rows = _shares(page * size + 1, size) if page < 3 else []
            path = f"*/positions/{page}"
            a.simulator.faults.add(
                FaultSpec(kind="answer", endpoint="list_positions", path=path, status=200, body=rows)
            )
        rows = (await a.read("get_account_positions", limit=1000)).rows("positions")
        assert [row["conid"] for row in rows] == list(range(1, 3 * size + 1))


async def test_a_page_of_positions_that_repeats_is_the_end() -> None:
    async with agent() as a:
        body = _shares(1, 30)
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="list_positions", status=200, body=body))
        answer = await a.read("get_account_positions")
        assert answer.body["totals"]["positions"] == 30


async def test_margin_after_a_move_of_the_market_names_what_is_left_out() -> None:
    async with agent("live") as a:
        down = (await a.read("get_account_summary", account=MAIN, market_move=-10)).body
        moved, figures = down["after_market_move"], down["figures"]
        assert moved["excess_liquidity"] == pytest.approx(figures["excess_liquidity"] + moved["change"], abs=0.02)
        assert moved["net_liquidation"] == pytest.approx(figures["net_liquidation"] + moved["change"], abs=0.02)
        held = (await a.read("get_account_positions", account=MAIN)).body["totals"]["positions"]
        assert moved["counted"] + len(moved["left_out"]) == held
        assert any("CASH" in name for name in moved["left_out"])
        up = (await a.read("get_account_summary", account=MAIN, market_move=10)).body["after_market_move"]
        assert up["change"] == pytest.approx(-moved["change"], rel=0.02)


async def test_without_a_brokerage_session_positions_have_no_quotes_and_say_why() -> None:
    async with agent(brokerage=False) as a:
        answer = (await a.read("get_account_positions", sort="daily_pnl", limit=3)).body
        assert answer["quotes_missing"]
        assert len(answer["positions"]["rows"]) == 3
        moved = (await a.read("get_account_summary", market_move=-5)).body
        assert moved["after_market_move_missing"]


async def test_symbols_of_positions_are_understood_by_the_other_tools() -> None:
    async with agent() as a:
        rows = (await a.read("get_account_positions", limit=1000)).rows("positions")
        for kind in ("OPT", "FUT"):
            row = next(row for row in rows if row["class"] == kind)
            details = await a.read("get_contract_details", symbol=row["symbol"])
            assert details.body["conid"] == row["conid"]


async def test_the_average_price_of_a_position_compares_with_the_price_of_now() -> None:
    async with agent() as a:
        rows = (await a.read("get_account_positions", limit=1000)).rows("positions")
        for kind in ("STK", "OPT", "FUT"):
            row = next(row for row in rows if row["class"] == kind)
            bought = row["value"] - row["unrealized_pnl"]
            assert bought * row["price"] == pytest.approx(row["value"] * row["average_price"], rel=0.01)


async def test_position_of_one_instrument() -> None:
    async with agent() as a:
        for name in ("AAPL@NASDAQ", "265598"):
            (row,) = (await a.read("get_account_positions", symbol=name)).rows("positions")
            assert (row["symbol"], row["conid"], row["currency"]) == ("AAPL", 265598, "USD")


async def test_orders_are_the_working_ones_unless_all_are_asked_for() -> None:
    async with agent() as a:
        everything = (await a.read("get_account_orders", status="all")).rows("orders")
        working = (await a.read("get_account_orders")).rows("orders")
        assert {row["status"] for row in everything} >= {"Filled", "Submitted", "Cancelled"}
        assert {row["status"] for row in working}.isdisjoint({"Filled", "Cancelled"})
        assert {row["order_id"] for row in working} < {row["order_id"] for row in everything}
        assert all(row["side"] in ("BUY", "SELL") for row in everything)


async def test_orders_in_one_instrument_are_found_by_ticker_name_and_leg() -> None:
    async with agent("odd") as a:
        every = (await a.read("get_account_orders", account="U7430001", status="all")).rows("orders")
        for name, kinds in (("QQQ", {"BAG"}), ("HSBA@LSE", {"STK"}), ("AAPL", {"STK", "CFD"}), ("8314", {"STK"})):
            answer = await a.read("get_account_orders", account="U7430001", status="all", symbol=name)
            rows = answer.rows("orders")
            assert {row["class"] for row in rows} == kinds
            assert {row["order_id"] for row in rows} < {row["order_id"] for row in every}
        none = await a.read("get_account_orders", account="U7430001", symbol="TSLA")
        assert (none.rows("orders"), "TSLA" in none.body["note"]) == ([], True)


async def test_status_of_an_order_that_is_listed_and_of_none() -> None:
    async with agent() as a:
        listed = (await a.read("get_account_orders")).rows("orders")[0]
        status = (await a.read("get_order_status", order_id=str(listed["order_id"]))).body
        assert (status["status"], status["conid"]) == (listed["status"], listed["conid"])
        unknown = await a.call("get_order_status", order_id="1")
        assert unknown.error["code"] == "invalid_request"
        assert "get_account_orders" in unknown.error["action"]


async def test_trades_of_some_days_and_of_one_instrument() -> None:
    async with agent() as a:
        trades = (await a.read("get_account_trades", days=5)).rows("trades")
        assert {row["side"] for row in trades} <= {"BUY", "SELL", "EXPIRED"}
        assert [row["time"] for row in trades] == sorted((row["time"] for row in trades), reverse=True)
        one = trades[0]
        same = (await a.read("get_account_trades", days=5, symbol=str(one["conid"]))).rows("trades")
        ids = [(row["time"], row["order_id"]) for row in trades if row["conid"] == one["conid"]]
        assert [(row["time"], row["order_id"]) for row in same] == ids
        assert (await a.call("get_account_trades", days=8)).error["code"] == "invalid_request"


async def test_orders_name_what_they_are_for_as_the_other_tools_take_it() -> None:
    async with agent() as a:
        orders = (await a.read("get_account_orders", status="all")).rows("orders")
        (order,) = (row for row in orders if row["conid"] == 12087792)
        assert order["symbol"] == "EUR.USD"
        assert (await a.read("get_order_status", order_id=str(order["order_id"]))).body["symbol"] == "EUR.USD"
        for row in (order for order in orders if order["class"] != "BAG"):
            described = await a.read("get_contract_details", symbol=row["symbol"])
            assert described.body["conid"] == row["conid"]


async def test_orders_are_told_even_when_their_instruments_cannot_be_named() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_security_definitions", status=500))
        orders = (await a.read("get_account_orders")).rows("orders")
        assert {row["symbol"].split(" #")[0] for row in orders} >= {"IBM", "MSFT", "EUR.USD"}


async def test_several_accounts_have_orders_each_and_trades_of_the_selected_one() -> None:
    async with agent("live") as a:
        for account in (MAIN, SAVINGS):
            orders = (await a.read("get_account_orders", account=account, status="all")).rows("orders")
            assert {row["account"] for row in orders} <= {account}
        assert "complete" not in (await a.read("get_account_trades", account=MAIN)).body
        other = (await a.read("get_account_trades", account=SAVINGS)).body
        assert other["complete"] is False
        assert "selected" in other["note"]


async def test_every_period_of_performance_is_there_after_one_question_to_ibkr() -> None:
    async with agent() as a:
        for period in ("1D", "7D", "MTD", "1M", "3M", "6M", "YTD", "1Y", "6m"):
            answer = await a.read("get_account_performance", period=period, rows="daily")
            assert (answer.body["currency"], answer.body["method"]) == ("USD", "time-weighted")
            last = answer.rows("performance")[-1]
            assert answer.body["end"] == {"date": last["date"], "net_asset_value": last["net_asset_value"]}
            assert answer.body["return"] == last["cumulative_return"]
        asked = [request for request in a.simulator.requests if request.endpoint == "get_performance_all_periods"]
        assert len(asked) == 1


async def test_performance_of_some_months_is_cut_out_of_the_year() -> None:
    async with agent() as a:
        year = (await a.read("get_account_performance", period="1Y", rows="daily")).rows("performance")
        quarter = await a.read("get_account_performance", period="3M", rows="weekly")
        assert quarter.body["start"]["date"] == "2026-08-21"
        before = next(row for row in year if row["date"] == "2026-08-21")
        change = (1 + year[-1]["cumulative_return"]) / (1 + before["cumulative_return"]) - 1
        assert quarter.body["return"] == pytest.approx(change, abs=2e-4)
        assert 12 <= len(quarter.rows("performance")) <= 15
        spring = await a.read("get_account_performance", start="2026-04-01", end="2026-06-30")
        assert (spring.body["start"]["date"], spring.body["end"]["date"]) == ("2026-03-31", "2026-06-30")
        assert "performance" not in spring.body
        refused = await a.call("get_account_performance", start="2020-01-01")
        assert "2025-11-21" in refused.error["action"]


async def test_an_account_is_compared_with_an_instrument_over_the_same_days() -> None:
    async with agent() as a:
        answer = (await a.read("get_account_performance", period="YTD", benchmark="SPY")).body
        benchmark = answer["benchmark"]
        assert (benchmark["from"], benchmark["to"]) == (answer["start"]["date"], answer["end"]["date"])
        assert benchmark["account_return_less_benchmark"] == pytest.approx(answer["return"] - benchmark["return"])
        missing = (await a.read("get_account_performance", benchmark="NOSUCHTHING")).body["benchmark"]["missing"]
        assert "NOSUCHTHING" in missing


async def test_a_benchmark_without_trading_hours_is_compared_by_days_of_utc_and_says_so() -> None:
    async with agent() as a:
        a.simulator.faults.add(FaultSpec(kind="answer", endpoint="get_contract_trading_schedule", status=404))
        benchmark = (await a.read("get_account_performance", period="YTD", benchmark="SPY")).body["benchmark"]
        assert benchmark["return"]
        assert "UTC" in benchmark["note"]
        a.simulator.faults.remove()
        benchmark = (await a.read("get_account_performance", period="YTD", benchmark="SPY")).body["benchmark"]
        assert "UTC" not in benchmark["note"]


async def test_performance_is_drawn_beside_its_benchmark() -> None:
    async with agent() as a:
        answer = await a.read("get_account_performance", period="6M", benchmark="SPY", chart=True)
        (picture,) = (part for part in answer.content if part.type == "image")
        assert base64.b64decode(picture.data).startswith(b"\x89PNG")
        assert answer.body["benchmark"]["return"]
        alone = await a.read("get_account_performance", period="6M", chart=True)
        (other,) = (part for part in alone.content if part.type == "image")
        assert other.data != picture.data


async def test_transactions_of_one_instrument_and_how_long_to_wait_for_the_next() -> None:
    async with agent() as a:
        answer = await a.read("get_account_transactions", symbol="AAPL", days=200, limit=3)
        assert {row["type"] for row in answer.rows("transactions")} <= {"Buy", "Sell", "Dividend Payment"}
        assert len(answer.rows("transactions")) == 3
        assert answer.body["transactions"]["more"] == "3"
        refused = await a.call("get_account_transactions", symbol="MSFT")
        assert refused.error["code"] == "pacing_limited"
        assert 0 < refused.error["retry_after_s"] < 905
        # Another number of days of the same instrument needs no question to IBKR.
        longer = await a.read("get_account_transactions", symbol="AAPL", days=400)
        assert len(longer.rows("transactions")) > len(answer.rows("transactions"))
        assert 0 < longer.body["other_symbols_in_s"] <= 900


async def test_transactions_are_those_of_the_listing_that_is_held() -> None:
    async with agent("odd") as a:
        answer = (await a.read("get_account_transactions", symbol="SHEL", account="U7430001")).body
        assert (answer["symbol"], answer["conid"]) == ("SHEL@LSE", 29612256)
        assert answer["also"] == ["SHEL"]
    async with agent("odd") as a:
        # What is not held is what the other tools take it for.
        answer = (await a.read("get_account_transactions", symbol="TSLA", account="U7430001")).body
        assert answer["symbol"] == "TSLA"


async def test_transactions_of_some_types_are_added_up() -> None:
    async with agent() as a:
        answer = await a.read("get_account_transactions", symbol="AAPL", days=400, types=["sell"])
        rows = answer.rows("transactions")
        (total,) = answer.rows("totals")
        assert {row["type"] for row in rows} == {"Sell"}
        assert (total["count"], total["currency"]) == (len(rows), "USD")
        assert total["amount"] == pytest.approx(sum(row["amount"] for row in rows))
        assert (await a.read("get_account_transactions", symbol="AAPL", types=["interest"])).body["note"]


async def test_a_cursor_that_is_none_of_ours_is_refused() -> None:
    async with agent() as a:
        for tool in ("get_account_positions", "get_account_orders"):
            refused = await a.call(tool, cursor="abc")
            assert refused.error["code"] == "invalid_request"
            assert "more" in refused.error["action"]
