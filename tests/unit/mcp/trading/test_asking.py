"""What a person is shown before approving, and what an answered form says."""

from __future__ import annotations

from typing import Any

import pytest

from ib_mcp.trading.asking import decision_of, form, message_of

SUMMARY: dict[str, Any] = {
    "words": "BUY 10 AAPL, limit 240 USD, for the day; once that is filled: SELL 10 AAPL, limit 262 USD, for the day",
    "account": "U0000001",
    "is_paper": False,
    "notional": {"amount": 2400, "currency": "USD"},
    "cost": {"commission": {"amount": 1, "currency": "USD"}},
    "margin": {"initial": {"before": 100, "after": 200}},
    "warnings": ["A market order is filled at whatever price there is.", "<b>IBKR</b>: beware"],
}


def test_the_whole_order_is_shown() -> None:
    lines = message_of(SUMMARY).splitlines()
    assert lines[1:] == [
        "LIVE account U0000001",
        "BUY 10 AAPL, limit 240 USD, for the day",
        "once that is filled: SELL 10 AAPL, limit 262 USD, for the day",
        "Notional: 2400 USD",
        "Cost: commission 1 USD",
        "Margin: initial before 100, after 200",
        "Mind: A market order is filled at whatever price there is.",
        "Mind: IBKR : beware",
    ]


@pytest.mark.parametrize(("is_paper", "said"), [(True, "PAPER account"), (False, "LIVE account"), (None, "Account U")])
def test_paper_and_live_are_told_apart(is_paper: bool | None, said: str) -> None:
    assert said in message_of(SUMMARY | {"is_paper": is_paper})


@pytest.mark.parametrize(
    ("action", "content", "said"),
    [
        ("accept", {"approve": True}, "approved"),
        ("accept", {"approve": False}, "refused"),
        ("accept", {"approve": "true"}, "refused"),
        ("accept", {}, "refused"),
        ("accept", None, None),
        ("decline", None, "refused"),
        ("cancel", None, None),
        ("odd", {"approve": True}, None),
    ],
)
def test_only_a_ticked_box_approves(action: Any, content: Any, said: str | None) -> None:
    assert decision_of(action, content) == said


def test_the_box_has_to_be_ticked() -> None:
    schema = form("?").requested_schema
    assert schema["required"] == ["approve"]
    assert "default" not in schema["properties"]["approve"]
