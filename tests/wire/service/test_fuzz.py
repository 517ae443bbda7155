"""A short run of ``python -m tests.fuzz``: some random requests to every port, some random answers of IBKR."""

from __future__ import annotations

from pathlib import Path

from fuzz import answers, requests


def test_random_requests_break_no_part(tmp_path: Path) -> None:
    sent = requests.run(20, 300, tmp_path)
    assert sent.sent == 300
    assert not sent.faults
    assert {"200", "400", "404", "431"} <= sent.statuses.keys()


def test_random_answers_of_ibkr_break_neither_the_keeper_nor_a_tool() -> None:
    told = answers.run(20, 40)
    assert told.answers >= 40
    assert not told.faults
