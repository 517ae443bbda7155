"""Tokens that stay, and the notes of running stacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ib_mcp.cli import state
from ib_mcp.cli.stack import Stack, addresses


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "ib-mcp"


def stack(first_port: int) -> Stack:
    return addresses(range(first_port, first_port + 6), ("mcp token", "guard token"), None)


def test_a_token_is_made_once_and_readable_by_its_owner_only(folder: Path) -> None:
    first = state.token("mcp")
    assert len(first) >= 40
    assert state.token("mcp") == first
    assert state.token("guard") != first
    assert (folder / "mcp-token").read_text().strip() == first
    assert (folder / "mcp-token").stat().st_mode & 0o077 == 0


def test_a_token_file_that_others_may_read_is_closed_and_an_empty_one_filled(folder: Path) -> None:
    folder.mkdir()
    (folder / "mcp-token").touch(0o644)
    assert state.token("mcp") == state.token("mcp") != ""
    assert (folder / "mcp-token").stat().st_mode & 0o077 == 0


def test_the_state_folder_is_in_the_home_folder_unless_xdg_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert state.folder() == tmp_path / ".local/state/ib-mcp"


@pytest.mark.usefixtures("folder")
def test_running_stacks_are_found_by_port_and_only_while_they_run() -> None:
    with state.running_note(stack(9000)), state.running_note(stack(8800)):
        assert state.running() == [stack(8800), stack(9000)]
    assert state.running() == []


def test_the_note_of_a_stack_that_was_killed_counts_for_nothing(folder: Path) -> None:
    with state.running_note(stack(8800)):
        left = (folder / "running/8800.json").read_text()
    (folder / "running/8800.json").write_text(left)
    assert state.running() == []
    with state.running_note(stack(8800)):
        assert state.running() == [stack(8800)]


def test_a_private_file_replaces_the_one_before_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    path.write_text("{}")
    path.chmod(0o644)
    state.write_private(path, json.dumps({"mcp_token": "x"}))
    assert json.loads(path.read_text()) == {"mcp_token": "x"}
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]
