"""The kill switch: it holds at once and over restarts, and only its removal ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_keepalive.trading.stop import KillSwitch, Stopped
from ibkr.errors import InternalError


def test_a_stop_outlives_the_process(tmp_path: Path) -> None:
    KillSwitch(tmp_path, lambda: 1_800_000_000.0).stop("claude", "prices look wrong")

    assert KillSwitch(tmp_path).state() == Stopped(1_800_000_000.0, "claude", "prices look wrong")


def test_only_a_start_ends_it(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    assert switch.state() is None

    switch.stop("claude")
    switch.start()

    assert switch.state() is None
    assert KillSwitch(tmp_path).state() is None


def test_who_stopped_first_stays_named(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    switch.stop("owner", "holiday")

    assert switch.stop("claude", "me too").by == "owner"


def test_a_second_process_sees_the_stop_of_the_first(tmp_path: Path) -> None:
    one, other = KillSwitch(tmp_path), KillSwitch(tmp_path)
    one.stop("owner")
    assert other.state() is not None

    other.start()

    assert one.state() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": "yesterday"}', b"\xff", b"[" * 5000, b"null"])
def test_a_file_that_says_nothing_stops_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stopped").write_bytes(content)

    assert KillSwitch(tmp_path).state() is not None


def test_a_file_that_cannot_be_read_stops_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "stopped").mkdir()

    stopped = KillSwitch(tmp_path).state()

    assert stopped is not None
    assert "cannot be read" in stopped.reason


def test_what_cannot_be_written_down_stops_until_the_process_ends(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "missing")

    with pytest.raises(InternalError, match="could not be written"):
        switch.stop("claude", "reason")

    assert switch.state() is not None
    (tmp_path / "missing").mkdir()
    switch.stop("claude", "again")
    assert KillSwitch(tmp_path / "missing").state() == switch.state()


def test_without_a_directory_a_stop_holds_in_the_process() -> None:
    switch = KillSwitch(None)
    switch.stop("claude")
    assert switch.state() is not None

    switch.start()

    assert switch.state() is None
