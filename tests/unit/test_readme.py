"""What the README and docs/laptop.md tell people to paste is what the programs take."""

from __future__ import annotations

import json
import re
import shlex
from itertools import dropwhile
from pathlib import Path

import pytest

from ib_mcp.cli.arguments import parser
from ib_mcp.cli.stack import DEFAULT_PORT, LISTENERS, addresses
from ib_mcp.cli.up import snippets

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/laptop.md"]
MAKEFILE = (ROOT / "Makefile").read_text()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page, indentation taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands() -> list[list[str]]:
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    # Settings may stand before a command.
    return [list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), shlex.split(line))) for line in lines]


def pasted(token: str) -> object:
    """What VS Code is told, with ``token``."""
    ports = range(DEFAULT_PORT, DEFAULT_PORT + len(LISTENERS))
    return json.loads(snippets.vscode(addresses(ports, (token, ""), None)))["servers"]


def test_the_vscode_snippet_is_the_one_that_up_prints_with_the_token_asked_for() -> None:
    (block,) = blocks(ROOT / "README.md", "json")
    snippet = json.loads(block)
    (question,) = snippet["inputs"]
    assert snippet["servers"] == pasted(f"${{input:{question['id']}}}")


def test_the_claude_code_command_is_the_one_that_up_prints_with_the_token_read_from_its_file() -> None:
    (given,) = [words for words in commands() if words[0] == "claude"]
    ports = range(DEFAULT_PORT, DEFAULT_PORT + len(LISTENERS))
    token = "$(cat ~/.local/state/ib-mcp/mcp-token)"
    assert given == shlex.split(snippets.claude_code(addresses(ports, (token, ""), None)))


def test_every_command_of_ours_is_one_that_exists() -> None:
    ours = [words for words in commands() if words[0] not in ("claude",)]
    assert ours
    for program, *arguments in ours:
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", MAKEFILE, re.MULTILINE), arguments
            for name, _, value in (argument.partition("=") for argument in arguments[1:]):
                assert name == "ARGS"
                parser().parse_args([arguments[0], *value.split()])
        else:
            assert program in ("ib-mcp", ".venv/bin/ib-mcp")
            parser().parse_args(arguments)


def test_the_stdio_snippets_start_a_command_that_exists() -> None:
    found = [json.loads(block)["mcpServers"]["ibkr"] for block in blocks(ROOT / "docs/laptop.md", "json")]
    assert len(found) == 2
    for server in found:
        assert server["command"].endswith("/.venv/bin/ib-mcp")
        assert parser().parse_args(server["args"]).command == "stdio"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_of_the_repository_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []
