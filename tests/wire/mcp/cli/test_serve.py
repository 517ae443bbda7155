"""`ib-mcp serve` and `ib-mcp endpoints` as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support import cli


def test_all_missing_settings_are_named_at_once(tmp_path: Path) -> None:
    done = cli.run(tmp_path, "serve")
    assert done.returncode == 2
    for name in ("IB_MCP_GUARD_URL", "IB_MCP_GUARD_TOKEN", "IB_MCP_TOKEN"):
        assert name in done.stderr
    assert done.stderr.count("is missing") == 3
    assert "Traceback" not in done.stderr


def test_no_auth_is_for_loopback_only(tmp_path: Path) -> None:
    guard = {"IB_MCP_GUARD_URL": "http://127.0.0.1:1", "IB_MCP_GUARD_TOKEN": "x"}
    done = cli.run(tmp_path, "serve", "--no-auth", IB_MCP_HOST="0.0.0.0", **guard)
    assert done.returncode == 2
    assert "loopback" in done.stderr


def test_the_status_of_the_endpoints_comes_in_three_forms(tmp_path: Path) -> None:
    plain, as_json, markdown = (
        cli.run(tmp_path, "endpoints", "status", *form) for form in ([], ["--json"], ["--markdown"])
    )
    assert (plain.returncode, as_json.returncode, markdown.returncode) == (0, 0, 0)
    assert "list_portfolio_accounts" in plain.stdout
    assert "list_portfolio_accounts" in {row["id"] for row in json.loads(as_json.stdout)["endpoints"]}
    assert markdown.stdout.startswith("# Endpoints Status")


def test_a_reader_that_has_seen_enough_causes_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ib_mcp", "endpoints", "status", "--json"],
        env=cli.environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0
