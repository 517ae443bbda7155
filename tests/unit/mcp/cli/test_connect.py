"""`ib-mcp connect`: what agents are told, and their files kept as they were otherwise."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ib_mcp.__main__ import main
from ib_mcp.cli.connect.agents import FILES, ConfigFile, Server
from ib_mcp.cli.connect.edit import CannotEdit, put_json, put_toml

URL, TOKEN = "http://127.0.0.1:8800/mcp", "token-of-an-agent"
ENTRY = {"url": URL}
WITH_COMMENTS = """{
  // servers that I use
  "servers": {
    "other": { "url": "https://a.example/x", "args": [1, "}", /* odd */ true,], }, // kept
    /* the one below is old */
    "ibkr": { "url": "http://old" }
  },
  "inputs": [ ],
}
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


def held(config: ConfigFile) -> Any:
    text = config.path.read_text("utf-8")
    return (tomllib.loads(text) if config.kind == "toml" else json.loads(text))[config.within]


@pytest.mark.parametrize("agent", FILES)
def test_each_file_is_written_kept_and_written_again(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = FILES[agent](Server(URL, TOKEN))
    config.path.parent.mkdir(parents=True, exist_ok=True)
    mine = (
        f'[{config.within}.mine]\nurl = "x"\n' if config.kind == "toml" else f'{{"{config.within}": {{"mine": {{}}}}}}'
    )
    config.path.write_text(mine)
    assert main(["connect", agent, "--url", URL, "--token", TOKEN, "--write"]) == 0
    assert set(held(config)) == {"mine", "ibkr"}
    assert held(config)["ibkr"] == config.entry
    (backup,) = config.path.parent.glob(f"{config.path.name}.*.backup")
    assert backup.read_text() == mine
    assert str(backup) in capsys.readouterr().err
    assert main(["connect", agent, "--url", "https://h.example/mcp", "--write"]) == 0
    assert set(held(config)) == {"mine", "ibkr"}
    assert TOKEN not in config.path.read_text()


@pytest.mark.parametrize("agent", FILES)
def test_without_write_it_is_printed_and_nothing_is_touched(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", agent, "--url", URL, "--token", TOKEN]) == 0
    assert URL in capsys.readouterr().out
    assert not FILES[agent](Server(URL, TOKEN)).path.exists()


def test_without_an_address_it_is_the_server_of_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["connect", "vscode"]) == 0
    entry = json.loads(capsys.readouterr().out)["servers"]["ibkr"]
    assert (
        entry["headers"]["Authorization"].removeprefix("Bearer ")
        == (tmp_path / "state/ib-mcp/mcp-token").read_text().strip()
    )


@pytest.mark.parametrize("agent", ["claude-ai", "chatgpt"])
def test_hosted_agents_get_steps_and_need_a_public_address(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", agent, "--url", "https://ibkr.example.net/mcp"]) == 0
    assert "https://ibkr.example.net/mcp" in capsys.readouterr().out
    for wrong in (URL, "https://ibkr.example.net:8443/mcp", "https://ibkr.example.net"):
        assert main(["connect", agent, "--url", wrong]) == 2


def test_comments_commas_and_other_entries_stay() -> None:
    found = put_json(WITH_COMMENTS, "servers", "ibkr", ENTRY)
    assert (
        found.replace(json.dumps(ENTRY, indent=2).replace("\n", "\n    "), '{ "url": "http://old" }') == WITH_COMMENTS
    )


def test_an_entry_is_added_before_others() -> None:
    text = '{ "servers": { "a": 1, // last\n } }'
    found = put_json(text, "servers", "ibkr", ENTRY)
    assert "// last" in found
    assert json.loads(found.replace("// last", "").replace("1, \n", "1\n"))["servers"] == {"ibkr": ENTRY, "a": 1}
    assert json.loads(put_json("{}", "servers", "ibkr", ENTRY)) == {"servers": {"ibkr": ENTRY}}
    assert json.loads(put_json('{"a": "}"}', "servers", "ibkr", ENTRY)) == {"servers": {"ibkr": ENTRY}, "a": "}"}


@pytest.mark.parametrize("text", ["[]", "{", '{"servers": []}', '{"servers": {"a" 1}}', '{"a": "x}', "{/* x }"])
def test_what_is_no_such_file_is_left_alone(text: str, tmp_path: Path) -> None:
    with pytest.raises(CannotEdit):
        put_json(text, "servers", "ibkr", ENTRY)
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/mcp.json").write_text(text)
    assert main(["connect", "vscode", "--url", URL, "--write"]) == 1
    assert (tmp_path / ".vscode/mcp.json").read_text() == text


def test_tables_of_toml_are_replaced_with_what_lies_below_them() -> None:
    own = '[mcp_servers.ibkr]\nurl = "old"\n[mcp_servers.ibkr.env]\nA = "b"\n'
    text = f'# mine\nmodel = "m"\n{own}[mcp_servers.b]\nurl = "c"\n'
    found = put_toml(text, "mcp_servers", "ibkr", '[mcp_servers.ibkr]\nurl = "new"\n')
    assert tomllib.loads(found) == {"model": "m", "mcp_servers": {"ibkr": {"url": "new"}, "b": {"url": "c"}}}
    assert found.startswith("# mine\n")
    with pytest.raises(CannotEdit):
        put_toml("a = ", "mcp_servers", "ibkr", "")
    with pytest.raises(CannotEdit):
        put_toml('mcp_servers = { ibkr = { url = "x" } }', "mcp_servers", "ibkr", '[mcp_servers.ibkr]\nurl = "n"\n')
