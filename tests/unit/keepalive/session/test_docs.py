"""docs/sessions.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ib_keepalive.session import ladder, poller, reopening, timing
from ibkr.session import SessionState, refusal
from ibkr.wording import WORDS

PAGE = (Path(__file__).parents[4] / "docs/sessions.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under ``heading``, without its head."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_every_state_has_a_row_in_order() -> None:
    assert [row[0].strip("`") for row in rows("The states")] == [state.value for state in SessionState]


@pytest.mark.parametrize("row", rows("The states"), ids=lambda row: row[0])
def test_row_says_what_page_and_callers_get(row: list[str]) -> None:
    state = SessionState(row[0].strip("`"))
    _, title, _, answer, advice = row
    assert (title, advice) == (WORDS[state].title, WORDS[state].advice)
    error = refusal(state)
    assert answer == ("the answer" if error is None else f"`{error.code}` {error.status}")


def test_times_are_those_of_the_code() -> None:
    told = [[float(number) for number in re.findall(r"\d+", seconds)] for _, seconds in rows("The keeper's clock")]
    assert told == [
        [timing.TICKLE_S],
        [timing.UNANSWERED_TICKLE_S],
        [timing.STEADY_S],
        [timing.AFTER_CHANGE_S],
        [timing.REOPENING_S],
        [timing.WATCHED_S],
        [timing.SLOW_S],
        list(timing.HANG_S),
        [*timing.BUSY_S, timing.LONGEST_BUSY_S],
        [poller.ANSWER_LIMIT_S],
        [poller.PATIENT_LIMIT_S],
        [reopening.GAP_S],
    ]


def test_the_ways_of_opening_and_their_limits_are_those_of_the_code() -> None:
    told = {rung.strip("`"): float(limit) for rung, _, limit in rows("Opening it")}
    assert told == ladder.LIMITS_S
