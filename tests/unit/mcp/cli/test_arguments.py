"""How the command line is read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ib_mcp.__main__ import main
from ib_mcp.cli.arguments import parser
from ib_mcp.cli.stack import not_a_gateway


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    for name in ("up", "serve", "stdio", "doctor", "endpoints"):
        assert f"\n    {name} " in said or f"\n    {name}\n" in said


@pytest.mark.parametrize(
    "command", [["up"], ["serve"], ["stdio"], ["doctor"], ["endpoints"], ["endpoints", "status"], []]
)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args([*command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: ib-mcp", *command]))


@pytest.mark.parametrize("arguments", [["fly"], ["up", "--gatewy", "x"], ["up", "--port", "many"], ["endpoints"]])
def test_a_wrong_command_ends_with_code_2_and_names_the_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "ib-mcp 0.1.0\n"


@pytest.mark.parametrize(
    "url", ["localhost:5000", "ftp://localhost", "https://", "https://localhost:port", "https://localhost/v1/api"]
)
def test_what_cannot_be_a_gateway_is_refused(url: str) -> None:
    assert url in (not_a_gateway(url) or "")


@pytest.mark.parametrize("url", ["https://localhost:5000", "http://127.0.0.1:5000/", "https://[::1]:5000"])
def test_what_can_be_a_gateway_is_taken(url: str) -> None:
    assert not_a_gateway(url) is None


def test_up_loads_neither_the_mcp_server_nor_a_web_library() -> None:
    code = "import sys, ib_mcp.cli.up.command; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastmcp", "mcp", "pydantic", "httpx", "starlette", "asyncio"} & set(loaded)
