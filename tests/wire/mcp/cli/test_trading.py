"""`ib-mcp up --trading paper`: what it makes, what an agent may do then, and the kill switch from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support import cli, stack
from support.cli import until


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    with stack.up(tmp_path_factory.mktemp("trading"), "--trading", "paper") as running:
        until(lambda: "Ctrl-C" in running.logs[0].read_text())
        yield running


def folder_of(trading: stack.Running) -> Path:
    (folder,) = (trading.folder / "state" / "ib-mcp" / "trading").iterdir()
    return folder


def ib_mcp(trading: stack.Running, *words: str, **settings: str) -> str:
    done = cli.run(trading.folder, *words, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(trading: stack.Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ib_mcp(trading, "trading", "status", "--json"))
    return found


def test_a_policy_is_made_shown_and_in_force(trading: stack.Running) -> None:
    policy = folder_of(trading) / "policy.toml"

    assert str(policy) in trading.logs[0].read_text()
    told = status(trading)
    assert (told["mode"], told["effective_mode"], told["problem"], told["approval"]) == ("paper", "paper", None, "ask")
    assert told["limits"]["notional"] == 25000


def test_a_changed_policy_is_in_force_at_once_and_a_broken_one_says_where(trading: stack.Running) -> None:
    policy = folder_of(trading) / "policy.toml"
    before = policy.read_text()
    try:
        policy.write_text(before.replace("notional = 25000", "notional = 7"))
        assert status(trading)["limits"]["notional"] == 7

        policy.write_text(before.replace("notional = 25000", "notional = seven"))
        shown = ib_mcp(trading, "trading", "status")
        assert "Trading: off" in shown
        assert "line 22" in shown
    finally:
        policy.write_text(before)


def test_an_agent_sees_the_tools_of_orders(trading: stack.Running) -> None:
    headers = {"Authorization": f"Bearer {trading.mcp_token}", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    listed = httpx.post(trading.mcp_url, json=body, headers=headers, timeout=30).text

    for tool in ("preview_order", "submit_order", "modify_order", "cancel_order"):
        assert f'"{tool}"' in listed


def test_a_stop_outlives_a_killed_keepalive_and_only_the_owner_starts_again(trading: stack.Running) -> None:
    shown = ib_mcp(trading, "trading", "stop", "--reason", "a holiday", "--cancel-orders")
    assert "It stays so over restarts" in shown
    assert "cancellation" in shown

    (keepalive,) = [
        child for child in psutil.Process(trading.process.pid).children() if "ib_keepalive" in child.cmdline()
    ]
    keepalive.kill()
    until(lambda: cli.run(trading.folder, "trading", "status").returncode == 0)
    assert status(trading)["stopped"]["reason"] == "a holiday"

    as_agent = {"IB_MCP_GUARD_URL": trading.guard_url, "IB_MCP_GUARD_TOKEN": trading.guard_token}
    refused = cli.run(trading.folder, "trading", "start", **as_agent)
    assert refused.returncode == 2
    assert "--control" in refused.stderr
    response = httpx.post(
        f"{trading.guard_url}/trading/start", headers={"Authorization": f"Bearer {trading.guard_token}"}, json={}
    )
    assert response.status_code == 404

    assert "Trading: paper" in ib_mcp(trading, "trading", "start", "--control", trading.control_url)
    assert status(trading)["stopped"] is None


def test_whoever_has_the_guards_token_may_stop(trading: stack.Running) -> None:
    as_agent = {"IB_MCP_GUARD_URL": trading.guard_url, "IB_MCP_GUARD_TOKEN": trading.guard_token}
    try:
        assert "Trading is stopped" in ib_mcp(trading, "trading", "stop", **as_agent)
        assert "Trading: stopped (the policy says paper)" in ib_mcp(trading, "trading", "status", **as_agent)
    finally:
        ib_mcp(trading, "trading", "start")


def test_the_audit_is_read_without_a_file_being_named(trading: stack.Running) -> None:
    ib_mcp(trading, "trading", "stop", "--reason", "to be read")
    ib_mcp(trading, "trading", "start")

    lines = ib_mcp(trading, "orders", "log", "--since", "1h").splitlines()

    assert "stopped  owner  to be read" in lines[-2]
    assert lines[-1].endswith("started  owner")


def test_whom_to_ask_is_said_where_it_is_not_clear(trading: stack.Running, tmp_path: Path) -> None:
    elsewhere = cli.run(tmp_path, "trading", "status")
    assert elsewhere.returncode == 2
    assert "kubectl exec" in elsewhere.stderr
    assert cli.run(tmp_path, "trading", "status", "--control", "8081").returncode == 2
    nobody = cli.run(tmp_path, "trading", "status", "--control", "http://127.0.0.1:9")
    assert nobody.returncode == 1
    assert "no answer" in nobody.stderr
    wrong = cli.run(tmp_path, "trading", "status", IB_MCP_GUARD_URL=trading.guard_url, IB_MCP_GUARD_TOKEN="wrong-token")
    assert wrong.returncode == 1
    assert "token" in wrong.stderr
