"""Named tokens at the running server: given and revoked without a restart, seen in shares, metrics and scopes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ib_mcp.auth import token_folder
from ib_mcp.auth.tokens import digest_of
from wire.mcp.http.test_http import HANDSHAKE, MODERN, StubGuard, answered, question, refused_with, serving

LAPTOP = "secret-of-the-laptop"


def give(folder: Path, name: str, token: str, words: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"sha256:{digest_of(token).hex()} {words}\n")


@pytest.fixture(autouse=True)
def _always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_folder, "_LOOK_EVERY_S", 0.0)


@pytest.mark.parametrize("wire", [MODERN, HANDSHAKE])
async def test_a_token_is_given_and_revoked_without_a_restart(tmp_path: Path, wire: str) -> None:
    asked = question("tools/list", wire, token=LAPTOP)
    async with serving(token=None, tokens_dir=tmp_path / "tokens") as client:
        assert (await client.post("/mcp", **asked)).status_code == 401
        give(tmp_path / "tokens", "laptop", LAPTOP)
        assert answered(await client.post("/mcp", **asked))["tools"]
        (tmp_path / "tokens/laptop").unlink()
        refused_with(await client.post("/mcp", **asked), "token_required")


async def test_the_name_is_the_caller_from_every_address_and_stands_in_the_metrics(tmp_path: Path) -> None:
    stub = StubGuard()
    give(tmp_path / "tokens", "laptop", LAPTOP)
    async with serving(stub, tokens_dir=tmp_path / "tokens") as client:
        for agent in ("one", "two"):
            asked = question("tools/call", token=LAPTOP, name="list_accounts", arguments={})
            asked["headers"]["user-agent"] = agent
            answered(await client.post("/mcp", **asked))
        assert set(stub.callers) == {"laptop"}
        metrics = (await client.get("/metrics")).text
    assert re.search(r'ibmcp_agent_calls_total{agent="laptop",outcome="ok"} [2-9]', metrics)
    assert LAPTOP not in metrics


async def test_twenty_agents_are_twenty_callers_from_one_address(tmp_path: Path) -> None:
    stub = StubGuard()
    given = {"endpoint": "list_portfolio_accounts"}
    names = [f"agent-{number:02}" for number in range(20)]
    for name in names:
        give(tmp_path / "tokens", name, f"secret-of-{name}")
    async with serving(stub, tokens_dir=tmp_path / "tokens") as client:
        for name in names:
            asked = question("tools/call", token=f"secret-of-{name}", name="call_endpoint", arguments=given)
            answered(await client.post("/mcp", **asked))
    assert stub.callers == names
