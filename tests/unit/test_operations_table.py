"""docs/operations.md names, for each failure, the test on a real cluster that shows it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_names_a_test_that_exists() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs/operations.md").read_text())
    written = "\n".join(path.read_text() for path in (ROOT / "tests/e2e").glob("test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in written] == []
