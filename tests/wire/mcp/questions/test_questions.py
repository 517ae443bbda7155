"""The golden set: what people ask, in how many calls and bytes it is answered, and whether the answer is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.account_questions import QUESTIONS as ACCOUNT_QUESTIONS
from support.market_questions import QUESTIONS as MARKET_QUESTIONS
from support.questions import Question, ask

pytestmark = pytest.mark.looptime

QUESTIONS: tuple[Question, ...] = (*ACCOUNT_QUESTIONS, *MARKET_QUESTIONS)
PAGE = Path(__file__).parents[4] / "docs" / "questions.md"
MOST_CALLS, MOST_BYTES = 3, 6000


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text)
async def test_a_question_is_answered_truly_and_as_shortly_as_the_page_says(question: Question) -> None:
    asked = await ask(question)
    calls, kilobytes = _told()[question.text]
    assert calls == len(asked.answers)
    assert asked.size / 1000 == pytest.approx(kilobytes, abs=0.25)


def test_nine_of_ten_questions_take_few_calls_and_few_bytes() -> None:
    told = _told()
    short = [text for text, (calls, size) in told.items() if calls <= MOST_CALLS and size * 1000 <= MOST_BYTES]
    assert len(short) >= 0.9 * len(told)
    assert list(told) == [question.text for question in QUESTIONS]


def _told() -> dict[str, tuple[int, float]]:
    """Calls and kilobytes of each question, as the page has them."""
    rows = re.findall(r"^\| (.+?) \| .+? \| (\d+) \| ([\d.]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {text: (int(calls), float(size)) for text, calls, size in rows}
