"""The child processes of `ib-mcp up` and their settings."""

from __future__ import annotations

import pytest

from ib_mcp.cli import stack
from ib_mcp.cli.stack import LISTENERS


@pytest.mark.parametrize(
    ("said", "keepers", "simulators"),
    [(None, "keeper", "keeper"), ("nobody", "nobody", "keeper"), ("gateway", "gateway", "gateway")],
)
def test_the_owner_says_who_opens_the_session_with_the_simulator_too(
    monkeypatch: pytest.MonkeyPatch, said: str | None, keepers: str, simulators: str
) -> None:
    monkeypatch.delenv("IB_KEEPALIVE_BROKERAGE_LOGIN", raising=False)
    if said is not None:
        monkeypatch.setenv("IB_KEEPALIVE_BROKERAGE_LOGIN", said)
    ports = list(range(1, 1 + len(LISTENERS)))
    found = stack.parts(stack.addresses(ports, ("", ""), None), ports, signed_out=False, scenario=None)
    settings = {name: value for part in found for name, value in part.settings.items()}
    assert settings["IB_KEEPALIVE_BROKERAGE_LOGIN"] == keepers
    assert settings["IB_SIMULATOR_BROKERAGE_LOGIN"] == simulators
