"""What `ib-mcp connect` writes is read by the agents' own programs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from support import cli, programs

URL, TOKEN = "http://127.0.0.1:9/mcp", "token-of-an-agent"
PACKAGES = {
    "codex": ("@openai/codex@0.171.0", "codex"),
    "gemini-cli": ("@google/gemini-cli@0.61.0", "gemini"),
    "cline": ("cline@3.0.65", "cline"),
}
LISTS = {
    "codex": ("mcp", "list", "--json"),
    "gemini-cli": ("mcp", "list"),
    "cline": ("config", "mcp", "--json"),
}


@pytest.mark.parametrize("agent", PACKAGES)
def test_the_agent_reads_its_file(agent: str, tmp_path: Path) -> None:
    package, program = PACKAGES[agent]
    try:
        folder, node = programs.npm_package(package), programs.node()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    command = ["connect", agent, "--url", URL, "--token", TOKEN, "--write"]
    done = cli.run(tmp_path, *command, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        [folder / "node_modules/.bin" / program, *LISTS[agent]],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": f"{node.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    said = listed.stdout + listed.stderr
    assert "ibkr" in said
    if agent != "cline":
        assert URL in said
    if agent == "codex":
        (server,) = json.loads(listed.stdout)
        assert server["transport"]["http_headers"] == {"Authorization": f"Bearer {TOKEN}"}
    for word in ("invalid", "error", "unknown"):
        assert word not in listed.stdout.lower()
