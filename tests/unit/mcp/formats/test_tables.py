"""Tables come in portions that make up the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_mcp.formats.tables import cut, table
from ibkr.errors import InvalidRequest


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_portions_make_up_the_whole(rows: list[int], limit: int) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        part, cursor = cut(rows, cursor, limit)
        seen += part
        if cursor is None:
            break
    assert seen == rows


@pytest.mark.parametrize("cursor", ["-1", "1.5", "x", "", "9999999"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        cut([1], cursor, 1)


def test_tables_do_not_repeat_names() -> None:
    assert table(("a", "b"), [(1, 2), (3, 4)]) == {"columns": ["a", "b"], "rows": [[1, 2], [3, 4]]}
    assert table(("a",), [(1,)], more="1")["more"] == "1"
