"""The policy that `ib-mcp up --trading` makes: one that the guard takes, and that its owner may edit."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ib_keepalive.trading.policy import parse
from ib_mcp.cli.up.trading import prepare


@pytest.mark.parametrize("mode", ["preview", "paper"])
def test_what_is_made_is_a_policy_with_limits(tmp_path: Path, mode: str) -> None:
    path = prepare(tmp_path / "trading", mode, is_new_account=True)

    policy = parse(path.read_bytes())
    assert policy.problem is None
    assert (policy.mode, policy.approval) == (mode, "ask")
    assert policy.limits.notional is not None
    assert policy.limits.orders_per_minute is not None
    assert not policy.limits.short_selling
    # What IBKR asks about every coin: on weekends nothing else can be traded.
    assert "o10288" in policy.questions
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_the_owner_changed_stays(tmp_path: Path) -> None:
    path = prepare(tmp_path, "paper", is_new_account=True)
    path.write_text(path.read_text().replace("notional = 25000", "notional = 5"))

    prepare(tmp_path, "preview", is_new_account=True)

    policy = parse(path.read_bytes())
    assert (policy.mode, policy.limits.notional) == ("preview", 5)


def test_a_policy_that_says_no_mode_gets_one(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[limits]\nquantity = 1\n")

    path = prepare(tmp_path, "paper", is_new_account=True)

    policy = parse(path.read_bytes())
    assert (policy.problem, policy.mode, policy.limits.quantity) == (None, "paper", 1)


def test_the_ledger_goes_with_a_simulated_account_and_stays_with_a_real_one(tmp_path: Path) -> None:
    for name in ("orders.sqlite3", "orders.sqlite3-wal", "stopped", "audit.jsonl"):
        (tmp_path / name).touch()

    prepare(tmp_path, "paper", is_new_account=False)
    assert (tmp_path / "orders.sqlite3").exists()

    prepare(tmp_path, "paper", is_new_account=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "policy.toml", "stopped"]
