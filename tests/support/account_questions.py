"""What people ask about their accounts, and how the answers compare with the simulator's books."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ib_simulator.world.market import today
from support.agent import Answer
from support.questions import Question, Record, conids, money

JANE = {"account": "U7430001"}


def worth_and_today(answers: list[Answer], record: Record) -> None:
    (summary,) = answers
    assert summary.body["figures"]["net_liquidation"] == money(record.value.net_liquidation)
    # IBKR rounds the profit of the day to four digits.
    assert summary.body["pnl"]["daily"] == pytest.approx(record.value.daily_pnl, rel=0.001)
    assert summary.body["pnl"]["rounded"]


def exposure_to_euros(answers: list[Answer], record: Record) -> None:
    row = next(row for row in answers[0].rows("balances") if row["currency"] == "EUR")
    counted = [one for one in record.rows() if one.holding.contract.currency == "EUR"]
    worth = sum(one.value for one in counted if one.holding.contract.kind not in ("FUT", "CASH", "CFD"))
    cash = record.account.cash["EUR"]
    assert row["cash"] == money(cash)
    assert row["net_liquidation"] == money(cash + worth + record.value.accrued_interest("EUR"))
    assert row["in_base"] == money(row["net_liquidation"] * record.value.rates["EUR"])


def largest(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("positions")
    by_size = sorted(record.rows(), key=lambda one: -abs(one.value * one.rate))
    assert [row["conid"] for row in rows] == conids(by_size[:5])
    for row, one in zip(rows, by_size[:5], strict=True):
        assert row["base_value"] == money(one.value * one.rate)
        assert (row.get("share") is None) == (one.holding.contract.kind in ("FUT", "CASH", "CFD"))


def worst_today(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("positions")
    by_day = sorted(record.rows(), key=lambda one: one.daily * one.rate)
    assert rows[0]["conid"] in conids(by_day[:2])
    assert set(conids(by_day[:1])) <= {row["conid"] for row in rows}
    # The user has no quotes of EUREX's futures, and the answer says of how many it has no profit.
    unquoted = [one for one in record.rows("DAX") if one.holding.contract.kind == "FUT"]
    quoted = [one for one in record.rows() if one not in unquoted]
    totals = answers[0].body["totals"]
    assert totals["daily_pnl"] == pytest.approx(sum(one.daily * one.rate for one in quoted), abs=1500)
    assert totals["without_daily_pnl"] == len(unquoted)


def best_since_bought(answers: list[Answer], record: Record) -> None:
    best = max(record.rows(), key=lambda one: one.unrealized * one.rate)
    assert answers[0].rows("positions")[0]["conid"] == best.holding.contract.conid


def shell_in_london(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("positions")
    (one,) = record.rows("SHEL")
    assert [(row["symbol"], row["currency"], row["position"]) for row in rows] == [
        ("SHEL@LSE", "GBP", one.holding.quantity)
    ]
    assert rows[0]["value"] == money(one.value)


def everything_on_nvidia(answers: list[Answer], record: Record) -> None:
    held = record.rows("NVDA")
    assert sorted(row["conid"] for row in answers[0].rows("positions")) == sorted(conids(held))
    assert answers[0].body["totals"]["value"] == money(sum(one.value * one.rate for one in held))


def options_until_christmas(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("positions")
    day = today(record.now)
    held = [
        one
        for one in record.rows(kinds=("OPT", "FOP"))
        if one.holding.contract.expiry is not None and one.holding.contract.expiry <= day + timedelta(days=31)
    ]
    assert sorted(row["conid"] for row in rows) == sorted(conids(held))
    for row in rows:
        assert row["days"] == (date.fromisoformat(row["expiry"]) - day).days
        assert isinstance(row["in_the_money"], bool)


def spread_over_classes(answers: list[Answer], record: Record) -> None:
    groups = {row["class"]: row for row in answers[0].rows("groups")}
    for kind in ("STK", "OPT", "BOND", "FUND", "CRYPTO"):
        held = record.rows(kinds=(kind,))
        assert groups[kind]["positions"] == len(held)
        assert groups[kind]["value"] == money(sum(one.value * one.rate for one in held))
    assert groups["FUT"]["share"] is None


def spread_over_sectors(answers: list[Answer], record: Record) -> None:
    groups = {row["sector"]: row["value"] for row in answers[0].rows("groups")}
    sector = "Technology" if "Technology" in groups else next(name for name in groups if name != "no sector")
    held = [one for one in record.rows() if one.holding.contract.sector == sector]
    counted = [one for one in held if one.holding.contract.kind not in ("FUT", "CASH", "CFD")]
    assert groups[sector] == money(sum(one.value * one.rate for one in counted))


def margin_after_a_fall(answers: list[Answer], record: Record) -> None:
    moved = answers[0].body["after_market_move"]
    assert moved["excess_liquidity"] == pytest.approx(record.value.excess_liquidity + moved["change"], rel=0.002)
    assert moved["counted"] > len(record.rows()) / 2
    assert moved["left_out"]


def cash_and_buying_power(answers: list[Answer], record: Record) -> None:
    figures = answers[0].body["figures"]
    assert figures["cash"] == money(record.value.cash)
    assert figures["buying_power"] == money(record.value.buying_power)
    assert figures["maintenance_margin"] == money(record.value.maintenance_margin)


def year_against_the_market(answers: list[Answer], record: Record) -> None:
    body = answers[0].body
    assert body["start"]["date"][:7] == "2025-12"
    assert body["end"]["net_asset_value"] == money(record.value.net_liquidation)
    assert body["benchmark"]["symbol"] == "SPY"
    assert (body["method"], body["currency"]) == ("time-weighted", record.account.currency)


def worst_month(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("performance")
    assert len(rows) == 13
    assert answers[0].body["return"] == rows[-1]["cumulative_return"]


def second_quarter(answers: list[Answer], record: Record) -> None:
    assert [answers[0].body[name]["date"] for name in ("start", "end")] == ["2026-03-31", "2026-06-30"]


def open_orders(answers: list[Answer], record: Record) -> None:
    finished = ("Filled", "Cancelled")
    open_ones = [order for order in record.world.orders.all(record.now) if order.status not in finished]
    own = [order.id for order in open_ones if order.account == record.account.id and not order.group]
    assert [row["order_id"] for row in answers[0].rows("orders")] == own


def stop_on_microsoft(answers: list[Answer], record: Record) -> None:
    (row,) = answers[0].rows("orders")
    order = record.world.orders.get(row["order_id"], record.now)
    assert order is not None
    assert (row["stop"], row.get("limit")) == (order.ticket["price"], None)


def traded_this_week(answers: list[Answer], record: Record) -> None:
    trades = record.world.trades(record.account, record.now, 7)
    totals = {row["currency"]: row for row in answers[0].rows("totals")}
    assert sum(row["trades"] for row in totals.values()) == len(trades)
    assert sum(row["commission"] for row in totals.values()) == pytest.approx(sum(one.commission for one in trades))
    pairs = [one for one in trades if one.contract.kind == "CASH"]
    assert totals["unknown"]["commission"] >= sum(one.commission for one in pairs)


def dividends_of_coca_cola(answers: list[Answer], record: Record) -> None:
    body = answers[0].body
    assert {row["type"] for row in answers[0].rows("transactions")} <= {"Dividend Payment", "Dividend"}
    assert all("ividend" in row["type"] for row in answers[0].rows("totals"))
    assert body["known_since"] < body["since"]


def realized_on_apple(answers: list[Answer], record: Record) -> None:
    realized = answers[0].body["realized_pnl"]
    assert realized["currency"] == record.account.currency
    assert realized["since"] == answers[0].body["since"]


def treasuries(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("positions")
    bills = record.rows(kinds=("BILL",))
    assert sorted(row["conid"] for row in rows if row["class"] == "BILL") == sorted(conids(bills))
    for row in rows:
        assert row["value"] == pytest.approx(row["position"] * row["price"] * row["multiplier"], abs=0.02)


def profit_on_microsoft(answers: list[Answer], record: Record) -> None:
    (row,) = answers[0].rows("positions")
    (one,) = (one for one in record.rows("MSFT", kinds=("STK",)) if one.holding.contract.is_us)
    assert (row["average_price"], row["position"]) == (pytest.approx(one.holding.cost), one.holding.quantity)
    assert row["unrealized_pnl"] == money(one.unrealized)


def gold(answers: list[Answer], record: Record) -> None:
    assert answers[0].body["totals"]["value"] == money(sum(one.value for one in record.rows(kinds=("CMDTY",))))


def coin_or_trust(answers: list[Answer], record: Record) -> None:
    found = {row["class"]: row for row in answers[0].rows("positions")}
    assert found.keys() == {"STK", "CRYPTO"}
    assert found["STK"]["symbol"] != found["CRYPTO"]["symbol"]


def notional_of_futures(answers: list[Answer], record: Record) -> None:
    totals = answers[0].body["totals"]
    held = record.rows(kinds=("FUT",))
    assert totals["notional"] == money(sum(one.value * one.rate for one in held))
    assert "value" not in totals


def bonds_by_maturity(answers: list[Answer], record: Record) -> None:
    expiries = [row["expiry"] for row in answers[0].rows("positions")]
    assert expiries == sorted(expiries)
    assert len(expiries) == len(record.rows(kinds=("BOND", "BILL")))


def accounts_live_or_paper(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("accounts")
    assert [(row["account"], row["mode"]) for row in rows] == [(one.id, "live") for one in record.world.accounts]


def both_accounts(answers: list[Answer], record: Record) -> None:
    for answer, account in zip(answers, record.world.accounts, strict=True):
        value = record.world.valuation(account, record.now)
        currency = answer.body["base_currency" if "total" in answer.body else "currency"]
        assert (answer.body["account"], currency) == (account.id, account.currency)
        assert answer.body["total" if "total" in answer.body else "figures"]["net_liquidation"] == money(
            value.net_liquidation
        )


def deposits(answers: list[Answer], record: Record) -> None:
    (sentence,) = answers[0].body["not_given"]
    assert "Activity Statement" in sentence


def news_on_the_largest(answers: list[Answer], record: Record) -> None:
    assert answers[0].rows("positions")[0]["symbol"]
    assert "TWS" in answers[1].body["not_given"][0]


def profit_by_model(answers: list[Answer], record: Record) -> None:
    models = answers[0].body["pnl"]["by_model"]
    assert models.keys() == {"Core", "Growth"}
    assert sum(each["daily"] for each in models.values()) == pytest.approx(record.value.daily_pnl, rel=0.01)


def order_for_money(answers: list[Answer], record: Record) -> None:
    (row,) = (row for row in answers[0].rows("orders") if row.get("cash_quantity"))
    assert (row.get("quantity"), row["cash_currency"]) == (None, "USD")


def interest_not_paid_yet(answers: list[Answer], record: Record) -> None:
    assert answers[0].body["total"]["accrued_interest"] == pytest.approx(record.value.accrued_interest(), abs=0.05)


def treasury_share(answers: list[Answer], record: Record) -> None:
    total = answers[0].body["total"]
    told = total.get("treasury_bonds", 0) + total.get("treasury_bills", 0)
    assert told == money(record.value.treasuries() + sum(one.value for one in record.rows(kinds=("BILL",))))


QUESTIONS = (
    Question("What is my account worth, and how is the day going?", (("get_account_summary", {}),), worth_and_today),
    Question("How much of my money depends on the euro?", (("get_account_balances", {}),), exposure_to_euros),
    Question("Show my five biggest holdings.", (("get_account_positions", {"sort": "value", "limit": 5}),), largest),
    Question(
        "What hurt me most today?",
        (("get_account_positions", {"sort": "daily_pnl", "limit": 3}),),
        worst_today,
        moves=True,
    ),
    Question(
        "Where did I make the most so far?",
        (("get_account_positions", {"sort": "-unrealized_pnl", "limit": 5}),),
        best_since_bought,
    ),
    Question("Do I own Shell?", (("get_account_positions", JANE | {"symbol": "SHEL"}),), shell_in_london, "odd"),
    Question(
        "What do I have on Nvidia, derivatives included?",
        (("get_account_positions", {"symbol": "NVDA"}),),
        everything_on_nvidia,
    ),
    Question(
        "Which of my options run out by Christmas, and are they in the money?",
        (("get_account_positions", {"asset_class": "options", "expires_within_days": 31}),),
        options_until_christmas,
    ),
    Question(
        "Am I diversified across kinds of investments?",
        (("get_account_positions", {"group_by": "class"}),),
        spread_over_classes,
    ),
    Question("And across industries?", (("get_account_positions", {"group_by": "sector"}),), spread_over_sectors),
    Question(
        "Would I get a margin call if the market fell 15 %?",
        (("get_account_summary", {"market_move": -15}),),
        margin_after_a_fall,
        moves=True,
    ),
    Question("How much can I still buy?", (("get_account_summary", {}),), cash_and_buying_power),
    Question(
        "Did I beat the S&P 500 this year?",
        (("get_account_performance", {"period": "YTD", "benchmark": "SPY"}),),
        year_against_the_market,
    ),
    Question(
        "Which was my worst month?", (("get_account_performance", {"period": "1Y", "rows": "monthly"}),), worst_month
    ),
    Question(
        "How did the second quarter go?",
        (("get_account_performance", {"start": "2026-04-01", "end": "2026-06-30"}),),
        second_quarter,
    ),
    Question("Which orders are still out?", (("get_account_orders", {}),), open_orders),
    Question("Where is my stop in Microsoft?", (("get_account_orders", {"symbol": "MSFT"}),), stop_on_microsoft),
    Question(
        "What did this week's trading cost me?", (("get_account_trades", {"days": 7, "limit": 10}),), traded_this_week
    ),
    Question(
        "What has Coca-Cola paid me in the last year?",
        (("get_account_transactions", {"symbol": "KO", "days": 365, "types": ["dividend"]}),),
        dividends_of_coca_cola,
    ),
    Question(
        "How much did I realize on Apple since January?",
        (("get_account_transactions", {"symbol": "AAPL", "days": 330, "limit": 10}),),
        realized_on_apple,
    ),
    Question("Which Treasury bills do I hold?", (("get_account_positions", {"asset_class": "bills"}),), treasuries),
    Question(
        "At what price did I buy Microsoft, and am I up?",
        (("get_account_positions", {"symbol": "MSFT@NASDAQ"}),),
        profit_on_microsoft,
    ),
    Question("How much gold?", (("get_account_positions", JANE | {"asset_class": "metals"}),), gold, "odd"),
    Question(
        "Is my BTC the coin or a fund?", (("get_account_positions", JANE | {"symbol": "BTC"}),), coin_or_trust, "odd"
    ),
    Question(
        "How large are my futures?", (("get_account_positions", {"asset_class": "futures"}),), notional_of_futures
    ),
    Question(
        "When do my bonds mature?",
        (("get_account_positions", {"asset_class": "bonds", "sort": "expiry"}),),
        bonds_by_maturity,
    ),
    Question("Which accounts are these, real or paper?", (("list_accounts", {}),), accounts_live_or_paper, "live"),
    Question(
        "What are both of my accounts worth?",
        (("get_account_summary", {"account": "Main"}), ("get_account_balances", {"account": "Savings"})),
        both_accounts,
        "live",
    ),
    Question("When did I last pay in money?", (("find_endpoint", {"words": "deposits and withdrawals"}),), deposits),
    Question(
        "Is there news on my largest holding?",
        (("get_account_positions", {"sort": "value", "limit": 1}), ("find_endpoint", {"words": "news"})),
        news_on_the_largest,
    ),
    Question("How does my growth model do today?", (("get_account_summary", JANE),), profit_by_model, "odd"),
    Question(
        "Is my order for 500 dollars of Nvidia filled?",
        (("get_account_orders", JANE | {"symbol": "NVDA", "status": "all"}),),
        order_for_money,
        "odd",
    ),
    Question("What interest is coming to me?", (("get_account_balances", {}),), interest_not_paid_yet),
    Question("How much is in government paper?", (("get_account_balances", JANE),), treasury_share, "odd"),
)
