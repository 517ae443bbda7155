"""`ib-mcp doctor` while it looks."""

from __future__ import annotations

import threading

import pytest

from ib_mcp.cli.doctor import command
from ib_mcp.diagnosis import Link


async def test_a_link_that_takes_long_is_named_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    said = threading.Event()

    def say(text: str) -> None:
        told.append(text)
        said.set()

    def slow() -> str:
        assert said.wait(10)
        return "found"

    monkeypatch.setattr(command, "say", say)
    monkeypatch.setattr(command, "_PROGRESS_S", 0.0)
    finding = await anext(command.examine([(Link.MARKET_DATA, slow)]))
    assert (finding.holds, finding.detail) == (True, "found")
    assert told == ["checking market data, which takes a while"]
