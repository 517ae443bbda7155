"""The audit: whole lines on disk, hidden accounts on stdout, and an error whenever it cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ib_keepalive.trading.audit import Audit
from ibkr.errors import OperationForbidden


def test_a_line_on_disk_says_all_and_on_stdout_no_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Audit(tmp_path, lambda: 1_800_000_000.5).write("placed", account="U1234567", words="BUY 1 AAPL in U1234567")

    assert json.loads((tmp_path / "audit.jsonl").read_text()) == {
        "at": 1_800_000_000.5,
        "event": "placed",
        "account": "U1234567",
        "words": "BUY 1 AAPL in U1234567",
    }
    shown = capsys.readouterr().out
    assert json.loads(shown)["event"] == "placed"
    assert "1234567" not in shown


def test_lines_are_added_after_those_of_earlier_processes(tmp_path: Path) -> None:
    for event in ("asked", "placed"):
        Audit(tmp_path).write(event)

    assert [json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()] == [
        "asked",
        "placed",
    ]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    Audit(tmp_path).write("placed")

    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", [None, "missing"])
def test_what_cannot_be_written_is_refused(tmp_path: Path, place: str | None) -> None:
    audit = Audit(None if place is None else tmp_path / place)

    assert audit.problem() is not None
    with pytest.raises(OperationForbidden):
        audit.write("placed")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ib_keepalive.trading.audit import Audit
from ibkr.errors import OperationForbidden

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
audit = Audit(Path(sys.argv[1]))
audit.write("placed")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    audit.write("placed", words="x" * 200)
except OperationForbidden as error:
    sys.exit(error.message)
"""


def test_a_full_disk_refuses_and_leaves_no_half_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert "cannot be written" in ended.stderr
    assert [json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()] == ["placed"]


def test_it_takes_no_more_than_its_room(tmp_path: Path) -> None:
    audit = Audit(tmp_path, largest=200, kept=2)

    for number in range(40):
        audit.write("refused", number=number, words="x" * 60)

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["audit.1.jsonl", "audit.2.jsonl", "audit.jsonl"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 600
    assert json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])["number"] == 39
    assert json.loads((tmp_path / "audit.1.jsonl").read_text().splitlines()[-1])["number"] < 39
