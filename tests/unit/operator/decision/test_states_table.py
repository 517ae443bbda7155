"""docs/operator.md tells what the code does."""

from __future__ import annotations

from pathlib import Path

from ib_operator.decision.states import ROWS, Reason

PAGE = Path(__file__).resolve().parents[4] / "docs/operator.md"


def table() -> list[str]:
    """A line of the page's table for each reason."""
    lines = []
    for reason, row in ROWS.items():
        notification = (
            "none"
            if row.notify_after_s is None
            else f"{row.notify_after_s / 60:.0f} min"
            if row.notify_after_s
            else "at once"
        )
        gate = "True" if row.authenticated == "True" else "False"
        seen = (gate, row.reachable, row.authenticated, row.competing)
        if reason is Reason.PAUSED_BY_OWNER:
            seen = ("as seen",) * 4
        cells = (f"`{reason.value}`", row.phase.value, *seen, row.event, notification, row.message)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def test_every_reason_has_its_row_and_no_other() -> None:
    assert {*ROWS} == set(Reason)


def test_the_page_has_the_table_of_the_code() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| reason |")) + 2
    wanted = table()
    assert lines[start : start + len(wanted)] == wanted
    assert not lines[start + len(wanted)].startswith("|")


def test_every_message_is_a_sentence_that_says_what_to_do() -> None:
    for row in ROWS.values():
        assert row.message.endswith(".")
        assert ":" in row.message
