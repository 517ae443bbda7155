"""What outlives a restart of the keepalive: written whole, read with suspicion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ib_keepalive.session.journal import Entries, SessionJournal
from ib_keepalive.session.sign_in import SignIns


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal = SessionJournal(tmp_path / "session.json")
    journal.entries.number, journal.entries.rung = 7, "form"
    journal.write()
    assert SessionJournal(tmp_path / "session.json").entries == Entries(number=7, rung="form")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "nonsense",
        "[" * 100_000,
        '{"number": "7"}',
        '{"number": true}',
        '{"rung": 3}',
        '{"policy": []}',
        json.dumps({"rung": "x" * 100_000}),
    ],
)
def test_what_cannot_be_read_counts_as_nothing(content: str, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text(content)
    assert SessionJournal(path).entries == Entries()


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    journal = SessionJournal(tmp_path / "missing" / "session.json")
    journal.entries.number = 7
    journal.write()


def test_numbers_begin_at_the_calendars_second_so_that_a_lost_journal_repeats_none() -> None:
    sign_ins = SignIns(SessionJournal(None))
    assert sign_ins.number == 0
    sign_ins.note(1000.5, 1)
    sign_ins.note(1001.5, 2)
    assert (sign_ins.number, sign_ins.at) == (1001, 1001.5)
