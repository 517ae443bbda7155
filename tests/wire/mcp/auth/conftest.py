"""Time in the hand of the test."""

from __future__ import annotations

import pytest

from wire.mcp.auth.flow import Wall


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr("ib_mcp.http.ways_in.time.time", wall)
    return wall
