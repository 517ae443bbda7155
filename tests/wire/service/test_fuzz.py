"""A short run of ``python -m tests.fuzz``: some random requests to every port, some random answers of IBKR."""

from __future__ import annotations

from pathlib import Path

from fuzz import requests


def test_random_requests_break_no_part(tmp_path: Path) -> None:
    sent = requests.run(20, 300, tmp_path)
    assert sent.sent == 300
    assert not sent.faults
    assert {"200", "400", "404", "431"} <= sent.statuses.keys()
