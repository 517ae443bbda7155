"""What IBKR's Web API does not give, and what it gives although it sounds alike."""

from __future__ import annotations

import pytest

from ibkr import catalogue
from ibkr.not_given import GAPS, about


def test_no_title_of_an_operation_sounds_like_something_that_is_not_given() -> None:
    found = {row.id: [gap.topic for gap in about(row.title)] for row in catalogue.load() if row.status != "unsupported"}
    mistaken = {name: topics for name, topics in found.items() if topics}
    # Its title says what it has, dividends included: of one instrument.
    assert mistaken.keys() <= {"list_transactions"}, mistaken


@pytest.mark.parametrize(
    "words",
    [
        "positions of an account",
        "list orders",
        "cancel all orders",
        "market value by currency",
        "exchange rate",
        "profit",
    ],
)
def test_what_is_given_is_not_said_to_be_missing(words: str) -> None:
    assert about(words) == []


def test_each_gap_is_one_answer_that_says_where_to_look() -> None:
    assert len({gap.topic for gap in GAPS}) == len(GAPS) >= 12
    for gap in GAPS:
        assert gap.answer.startswith(("No ", "Trades ")), gap.topic
        assert len(gap.answer) < 340, gap.topic
