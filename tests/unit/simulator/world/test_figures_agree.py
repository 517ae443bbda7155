"""Figures that a reader would compare agree, on a trading day and on the Saturday after a half day."""

from __future__ import annotations

from typing import Any

import pytest

from support.simulator import FRIDAY, Asker, utc

SATURDAY = utc("2026-11-28 15:00:00")
ES_INDEX, SPX, SPY, AAPL, KO, NVDA = 11004968, 416904, 756733, 265598, 8894, 4815747
moments = pytest.mark.parametrize(
    "now", [FRIDAY, SATURDAY, utc("2026-11-24 02:00:00")], ids=["day", "Saturday", "night"]
)
users = pytest.mark.parametrize("user", ["paper", "live", "odd"])


def number(text: str) -> float:
    return float(text.lstrip("CH").rstrip("%").replace(",", "").split()[0])


@moments
@users
def test_the_days_profit_is_the_performance_of_the_day(user: Any, now: float) -> None:
    ask = Asker(user, now=now)
    for account in ask.world.accounts:
        value = ask.world.valuation(account, now)
        day = ask("get_performance_all_periods", body={"acctIds": [account.id]})[account.id]["1D"]
        assert day["nav"][-1] - day["startNAV"]["val"] == pytest.approx(value.daily_pnl, abs=0.01)
        assert day["cps"] == [pytest.approx(value.daily_pnl / day["startNAV"]["val"], abs=1e-4)]
        summary = ask("get_portfolio_summary", path={"accountId": account.id})
        assert summary["previousdayequitywithloanvalue"]["amount"] == pytest.approx(day["startNAV"]["val"], abs=0.01)
        balances = ask("get_balances", path={"accountId": account.id})
        assert number(balances["total"]["Prvs Dy Eqty Wth Ln Vl"]) == pytest.approx(day["startNAV"]["val"], abs=1)


@users
def test_every_period_ends_with_the_same_values(user: Any) -> None:
    ask = Asker(user, now=SATURDAY)
    for account in ask.world.accounts:
        found = ask("get_performance_all_periods", body={"acctIds": [account.id]})[account.id]
        by_date: dict[str, set[float]] = {}
        for period in found["periods"]:
            for day, value in zip(found[period]["dates"], found[period]["nav"], strict=True):
                by_date.setdefault(day, set()).add(value)
        assert all(len(values) == 1 for values in by_date.values())
        assert max(by_date) == "20261127"


@pytest.mark.parametrize("conid", [AAPL, NVDA, SPY, KO, 29612256])
@pytest.mark.parametrize("now", [SATURDAY, utc("2026-11-27 19:30:00"), utc("2026-11-25 03:00:00")])
def test_the_last_close_of_history_is_that_of_the_snapshot(conid: int, now: float) -> None:
    ask = Asker(now=now)
    row = ask.snapshot(conid, fields="31,7296,7741,82")[0]
    closes = [bar["c"] for bar in ask("get_price_history", conid=conid, period="1w", bar="1d")["data"]]
    assert number(row["7296"]) == pytest.approx(closes[-1], abs=1e-6)
    assert number(row["7741"]) == pytest.approx(closes[-2], abs=1e-6)
    assert number(row["82"]) == pytest.approx(number(row["31"]) - closes[-2], abs=0.011)
    if row["31"].startswith("C"):
        assert number(row["31"]) == number(row["7296"])


@users
def test_margins_are_the_same_in_every_answer(user: Any) -> None:
    ask = Asker(user)
    for account in ask.world.accounts:
        path = {"accountId": account.id}
        summary, margins = ask("get_portfolio_summary", path=path), ask("get_margins", path=path)
        funds = ask("get_available_funds", path=path)
        for segment, end in (("total", ""), ("securities", "-s"), ("commodities", "-c")):
            for name, shown in (
                ("initmarginreq", margins[segment]["current_initial"]),
                ("maintmarginreq", margins[segment]["current_maint"]),
                ("availablefunds", funds[segment]["current_available"]),
                ("excessliquidity", funds[segment]["current_excess"]),
            ):
                assert number(shown) == pytest.approx(summary[f"{name}{end}"]["amount"], abs=1), (segment, name)


@pytest.mark.parametrize("now", [FRIDAY, SATURDAY], ids=["day", "Saturday"])
def test_an_index_and_what_is_traded_on_it_change_together(now: float) -> None:
    ask = Asker(now=now)
    future = ask("list_futures", symbols="ES")["ES"][0]["conid"]
    ask("search_contracts", symbol="ES")
    rows = ask.snapshot(SPX, ES_INDEX, future, fields="31,7741,83")
    changes = [number(row["83"]) for row in rows]
    assert number(rows[0]["7741"]) == pytest.approx(number(rows[1]["7741"]))
    if now == SATURDAY:
        assert number(rows[0]["31"]) == pytest.approx(number(rows[1]["31"]))
        assert max(changes) - min(changes) < 0.05


@users
def test_bookings_lead_to_the_position(user: Any) -> None:
    ask = Asker(user, now=SATURDAY)
    for account in ask.world.accounts:
        for row in ask("list_positions", path={"accountId": account.id, "pageId": "0"})[:60]:
            body = {"acctIds": [account.id], "conids": [row["conid"]], "currency": "USD", "days": 1825}
            booked = [one["qty"] for one in ask("list_transactions", body=body)["transactions"]]
            assert sum(booked) == pytest.approx(row["position"], abs=1e-6), row["contractDesc"]


def test_what_was_traded_today_is_in_realized_profit_everywhere() -> None:
    ask = Asker(now=SATURDAY)
    account = ask.world.accounts[0]
    path = {"accountId": account.id}
    rows = [row for page in range(4) for row in ask("list_positions", path=path | {"pageId": str(page)})]
    realized = {row["conid"]: row["realizedPnl"] for row in rows if row["realizedPnl"]}
    assert realized
    base = sum(row["baseRealizedPnl"] for row in rows)
    assert ask("get_ledger", path=path)["BASE"]["realizedpnl"] == pytest.approx(base, abs=0.05)
    for conid, amount in realized.items():
        body = {"acctIds": [account.id], "conids": [conid], "currency": "USD", "days": 3}
        assert float(ask("list_transactions", body=body)["rpnl"]["amt"]) == pytest.approx(amount, abs=0.01)
    traded = {row["conid"] for row in ask.twice("list_trades", days=3)}
    assert set(realized) <= traded


def test_trades_are_among_the_bookings() -> None:
    ask = Asker(now=FRIDAY)
    own = {row["orderId"] for row in ask.twice("list_live_orders")["orders"]}
    trades = [row for row in ask.twice("list_trades", days=7) if row["order_id"] not in own and row["side"] != "X"]
    held = {holding.contract.conid for holding in ask.world.holdings(ask.world.accounts[0], FRIDAY)}
    for trade in (row for row in trades if row["conid"] in held):
        body = {"acctIds": ["DU7420001"], "conids": [trade["conid"]], "currency": "USD", "days": 8}
        rows = ask("list_transactions", body=body)["transactions"]
        sign = 1 if trade["side"] == "B" else -1
        assert sign * trade["size"] in [row["qty"] for row in rows], trade["contract_description_1"]


def test_dividends_are_booked_four_times_a_year_at_what_the_snapshot_says() -> None:
    ask = Asker(now=SATURDAY)
    held = {row.contract.conid: row for row in ask.world.holdings(ask.world.accounts[0], SATURDAY)}
    paid = 0
    for conid in (KO, AAPL, 11017, 4901):
        body = {"acctIds": ["DU7420001"], "conids": [conid], "currency": "USD", "days": 365}
        rows = ask("list_transactions", body=body)["transactions"]
        amounts = [row["amt"] for row in rows if row["type"] == "Dividend Payment"]
        row = ask.snapshot(conid, fields="7286,7288,7672,31,7290,7291")[0]
        if number(row["7286"]):
            assert number(row["7672"]) == pytest.approx(4 * number(row["7286"]), abs=0.03)
            assert row["7288"] >= "20261128"
            bought = [one["rawDate"] for one in rows if one["type"] == "Buy"]
            assert not amounts or len(amounts) <= 4
            assert bought or held[conid].quantity
            paid += len(amounts)
        assert number(row["7290"]) * number(row["7291"]) == pytest.approx(number(row["31"]), rel=0.01)
    assert paid >= 4


def test_bookings_tell_their_currency_and_its_rate_into_the_one_asked_for() -> None:
    ask = Asker("odd", now=SATURDAY)
    body = {"acctIds": ["U7430001"], "conids": [29612256], "days": 900}
    asked = {name: ask("list_transactions", body=body | {"currency": name}) for name in ("GBP", "USD")}
    rows = asked["USD"]["transactions"]
    assert {row["cur"] for row in rows} == {"GBP"}
    assert all(1.1 < row["fxRate"] < 1.7 for row in rows)
    assert {row["fxRate"] for row in asked["GBP"]["transactions"]} == {1}
    profits = {name: float(answer["rpnl"]["amt"]) for name, answer in asked.items()}
    assert 1.1 < profits["USD"] / profits["GBP"] < 1.7
    ask("list_transactions", body=body | {"currency": "XXX"})
    assert ask.status == 400


def test_the_day_after_thanksgiving_ends_at_one() -> None:
    ask = Asker(now=SATURDAY)
    bars = ask("get_price_history", conid=SPY, period="1d", bar="1h")["data"]
    assert bars[-1]["t"] / 1000 == utc("2026-11-27 17:00:00")
    schedule = ask("get_contract_trading_schedule", path={}, conid=SPY)["schedules"]["20261127"]
    assert schedule["liquid_hours"] == [{"opening": utc("2026-11-27 14:30:00"), "closing": utc("2026-11-27 18:00:00")}]
    assert schedule["extended_hours"][0]["closing"] == utc("2026-11-27 22:00:00")


def test_the_weekly_pattern_names_half_days_with_their_hours() -> None:
    ask = Asker(now=utc("2026-11-20 15:00:00"))
    (venue,) = ask("get_trading_schedule", assetClass="STK", symbol="SPY", exchange="ARCA")
    by_date = {row["tradingScheduleDate"]: row for row in venue["schedules"]}
    assert by_date["20261126"]["sessions"] == []
    assert by_date["20261127"]["sessions"] == [{"openingTime": "0930", "closingTime": "1300", "prop": "LIQUID"}]
