"""The commands of `ib-mcp endpoints` on documents."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ib_mcp.__main__ import main
from support import documents, programs, published


def test_repair_prints_a_valid_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", "repair", "--spec", str(documents.SHOP)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_repair_writes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "out.json"
    assert main(["endpoints", "repair", "--spec", str(documents.SHOP), "--output", str(written)]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(written.read_text("utf-8"))["openapi"] == "3.1.0"


@pytest.mark.parametrize("view", ["report", "status", "diff"])
def test_the_other_views_print_text_and_json(view: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", view, "--spec", str(documents.PAYMENTS)]) == 0
    assert capsys.readouterr().out.count("\n") > 1
    assert main(["endpoints", view, "--spec", str(documents.PAYMENTS), "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_diff_compares_two_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", "diff", "--spec", str(documents.SHOP), "--to", str(documents.PAYMENTS)]) == 0
    assert "+ POST   /v1/charges" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--spec", "/nowhere"], ["--spec", str(documents.SHOP), "--output", "/nowhere/x"]])
def test_what_cannot_be_read_or_written_is_said_in_a_sentence(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["endpoints", "repair", *more]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "/nowhere" in said.err


def test_a_second_validator_accepts_what_is_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        command = programs.openapi_parser(tmp_path)
    except programs.Unavailable as reason:
        pytest.skip(f"@readme/openapi-parser cannot be had: {reason}")
    written = []
    for number, path in enumerate((*documents.OF_OTHERS, *published.paths())):
        written.append(tmp_path / f"{number}.json")
        assert main(["endpoints", "repair", "--spec", str(path), "--output", str(written[-1])]) == 0
    done = subprocess.run([*command, *map(str, written)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["valid"] * len(written), done.stdout + done.stderr
