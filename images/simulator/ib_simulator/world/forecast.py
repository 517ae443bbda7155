"""Event contracts: yes-or-no questions about a number that is published four times a year, paying one dollar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

BASE, END = 740_000_000, 750_000_000
_STEPS, _QUARTERS = 1024, 128


@dataclass(frozen=True, slots=True)
class Question:
    """A market of questions; ``underlying`` is its index row, ``product`` the id that only the tree shows."""

    underlying: int
    product: int
    symbol: str
    category: str
    text: str
    unit: str
    step: float
    agency: str


CATEGORIES: dict[str, tuple[str, str]] = {
    "g1001": ("Economy", ""),
    "g1002": ("Inflation", "g1001"),
    "g1003": ("Employment", "g1001"),
    "g2001": ("Environment", ""),
    "g2002": ("Climate", "g2001"),
}
"""Name and parent by category id."""

QUESTIONS: tuple[Question, ...] = (
    Question(
        739_000_001,
        739_000_101,
        "SCPI",
        "g1002",
        "Will consumer prices rise by more than {strike} over the year to {period}?",
        "%",
        0.25,
        "Bureau of Labor Statistics",
    ),
    Question(
        739_000_002,
        739_000_102,
        "SUNR",
        "g1003",
        "Will the unemployment rate exceed {strike} in {period}?",
        "%",
        0.1,
        "Bureau of Labor Statistics",
    ),
    Question(
        739_000_003,
        739_000_103,
        "SCO2",
        "g2002",
        "Will atmospheric carbon dioxide exceed {strike} in {period}?",
        " ppm",
        0.5,
        "NOAA Global Monitoring Laboratory",
    ),
)


def conid_of(question: Question, expiry: date, strike: float, right: str) -> int:
    """Yes is a call, no is a put."""
    quarter = (expiry.year - 2020) * 4 + (expiry.month - 1) // 3
    code = (QUESTIONS.index(question) * _QUARTERS + quarter) * _STEPS + round(strike / question.step)
    return BASE + code * 2 + (right == "P")


def decode(conid: int) -> tuple[Question, date, float, str] | None:
    """What ``conid_of`` put together, or None."""
    code, put = divmod(conid - BASE, 2)
    code, steps = divmod(code, _STEPS)
    place, quarter = divmod(code, _QUARTERS)
    if not 0 <= place < len(QUESTIONS):
        return None
    question = QUESTIONS[place]
    expiry = _quarter_end(2020 + quarter // 4, quarter % 4)
    return question, expiry, round(question.step * steps, 3), "P" if put else "C"


def expiries(today: date) -> list[date]:
    """The next four ends of a quarter."""
    first = today.year * 4 + (today.month - 1) // 3
    return [_quarter_end(place // 4, place % 4) for place in range(first, first + 4)]


def _quarter_end(year: int, quarter: int) -> date:
    return date(year, quarter * 3 + 3, (31, 30, 30, 31)[quarter])
