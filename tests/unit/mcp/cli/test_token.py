"""`ib-mcp token` on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_mcp.__main__ import main
from ib_mcp.auth import tokens
from ib_mcp.cli.token.command import end


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("IB_MCP_TOKENS_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "ib-mcp/tokens"


def test_a_token_is_shown_once_listed_and_revoked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "new", "laptop", "--scope", "trade", "--account", "U1", "--expires", "90d"]) == 0
    shown = capsys.readouterr().out.strip()
    (kept,) = tokens.parse((folder / "laptop").read_text()).values()
    assert kept.digest == tokens.digest_of(shown)
    assert shown not in (folder / "laptop").read_text()
    assert (folder / "laptop").stat().st_mode & 0o777 == 0o600
    assert (kept.grant.scopes, kept.grant.accounts) == ({"ibkr:read", "ibkr:trade"}, {"U1"})
    assert main(["token", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines()[1].split()[:3] == ["laptop", "read,trade", "U1"]
    assert shown not in listed
    assert main(["token", "revoke", "laptop"]) == 0
    assert not (folder / "laptop").exists()
    assert main(["token", "revoke", "laptop"]) == 2


@pytest.mark.parametrize(
    "words",
    [["Laptop"], ["../laptop"], ["a", "--scope", "all"], ["a", "--expires", "soon"], ["a", "--account", "U 1="]],
)
def test_what_cannot_be_meant_is_refused(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "new", *words]) == 2
    assert capsys.readouterr().out == ""
    assert not folder.exists()


def test_a_name_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "new", "laptop"]) == 0
    assert main(["token", "new", "laptop"]) == 2
    assert "revoke it first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90d", 7776000), ("12h", 43200), ("1970-02-01", 2678400), ("1970-01-02T00:00:00+02:00", 79200)],
)
def test_ends_are_spans_or_dates(given: str, seconds: int) -> None:
    assert end(given, 0) == seconds


def test_an_end_that_is_past_is_refused() -> None:
    with pytest.raises(ValueError):
        end("2020-01-01", 1795539600)
