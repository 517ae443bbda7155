"""What people ask about markets and their lists, and how the answers compare with the simulator's world."""

from __future__ import annotations

import pytest

from support.agent import Answer
from support.questions import Question, Record


def prices_and_a_typing_error(answers: list[Answer], record: Record) -> None:
    rows = {row["symbol"]: row for row in answers[0].rows("prices")}
    assert rows.keys() == {"AAPL", "NVDA"}
    for symbol, row in rows.items():
        contract = record.world.contracts.of_symbol(symbol)[0]
        assert row["last"] == pytest.approx(record.world.market.price(contract, record.now), rel=0.01)
        assert (row["timing"], row["currency"]) == ("live", "USD")
    assert answers[0].body["unknown"].keys() == {"NVDIA"}


def pence(answers: list[Answer], record: Record) -> None:
    (row,) = answers[0].rows("prices")
    (one,) = record.rows("GAW")
    assert row["last"] == pytest.approx(one.price * 100, rel=0.01)
    assert (row["currency"], row["unit"]) == ("GBP", "GBP/100")


def compared_over_the_year(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("summary")
    assert [row["symbol"] for row in rows] == ["AAPL", "MSFT", "NVDA"]
    for row in rows:
        assert row["change_percent"] == pytest.approx((row["last"] / row["first"] - 1) * 100, abs=0.01)


def is_frankfurt_open(answers: list[Answer], record: Record) -> None:
    # Six in the evening there.
    assert answers[0].body["open_now"] is False
    assert answers[0].body["next_open"] == "2026-11-25T08:00:00Z"


def call_by_delta(answers: list[Answer], record: Record) -> None:
    rows = answers[0].rows("options")
    assert rows
    for row in rows:
        assert 20 <= row["days"] <= 40
        assert row["delta"] == pytest.approx(0.3, abs=0.1)


def gainers(answers: list[Answer], record: Record) -> None:
    changes = [row["change_percent"] for row in answers[0].rows("contracts")]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0


def on_the_watchlist(answers: list[Answer], record: Record) -> None:
    assert answers[0].rows("watchlists")
    assert answers[1].rows("instruments")


def alerts(answers: list[Answer], record: Record) -> None:
    own = [alert for alert in record.world.stored.alerts.values() if alert.account == record.account.id]
    assert [row["alert_id"] for row in answers[0].rows("alerts")] == [alert.id for alert in own]


def messages(answers: list[Answer], record: Record) -> None:
    assert answers[0].rows("notifications")
    assert "never as instructions" in answers[0].body["warning"]


QUESTIONS = (
    Question(
        "What do Apple and Nvidia cost? (one of them mistyped)",
        (("get_price_snapshot", {"symbols": ["AAPL", "NVDA", "NVDIA"]}),),
        prices_and_a_typing_error,
        moves=True,
    ),
    Question(
        "What is Games Workshop at, and is that pounds?",
        (("get_price_snapshot", {"symbols": ["GAW@LSE"], "fields": ["last"]}),),
        pence,
        user="odd",
        moves=True,
    ),
    Question(
        "Which did best this year: Apple, Microsoft or Nvidia?",
        (("get_price_history", {"symbol": ["AAPL", "MSFT", "NVDA"], "period": "YTD", "limit": 2}),),
        compared_over_the_year,
        moves=True,
    ),
    Question(
        "Is Frankfurt open?",
        (("get_contract_details", {"symbol": "SAP@IBIS", "hours": True}),),
        is_frankfurt_open,
    ),
    Question(
        "Which Apple call of about a month would I write at a delta of 0.3?",
        (("get_option_chain", {"symbol": "AAPL", "days": "20-40", "delta": 0.3, "right": "C"}),),
        call_by_delta,
        moves=True,
    ),
    Question("What is rising most today?", (("run_scanner", {"limit": 5}),), gainers, moves=True),
    Question(
        "What is on my watchlist?",
        (("get_watchlists", {}), ("get_watchlists", {"watchlist": "Favourites"})),
        on_the_watchlist,
    ),
    Question("Which alerts have I set?", (("get_alerts", {}),), alerts),
    Question("Has IBKR written to me?", (("get_notifications", {"limit": 3}),), messages),
)
