"""Tables as tools answer them, and the cursors through their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ibkr.errors import InvalidRequest


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], more: str | None = None) -> dict[str, Any]:
    """Rows without repeating the names; ``more`` is the cursor of the next ones."""
    found: dict[str, Any] = {"columns": list(columns), "rows": [list(row) for row in rows]}
    if more is not None:
        found["more"] = more
    return found


def compact(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], more: str | None = None, *, kept: int = 1
) -> dict[str, Any]:
    """As ``table``, but what is equal in every row stands once, in ``all_rows``; columns without a value are left out.

    The first ``kept`` columns stay as they are.
    """
    found = [list(row) for row in rows]
    common: dict[str, Any] = {}
    places = list(range(kept))
    for place in range(kept, len(columns)):
        first = found[0][place] if found else None
        if found and all(row[place] is None or row[place] == "" for row in found):
            continue
        if len(found) < 2 or any(type(row[place]) is not type(first) or row[place] != first for row in found):
            places.append(place)
        else:
            common[columns[place]] = first
    shown = table([columns[place] for place in places], ([row[place] for place in places] for row in found), more)
    return {"all_rows": common, **shown} if common else shown


def used(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], always: Collection[str] = ()
) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows without the columns that have no value (or only zeros) in any row; ``always`` are kept."""
    found = [list(row) for row in rows]
    kept = [
        place
        for place, name in enumerate(columns)
        if name in always or any(row[place] is False or row[place] not in (None, "", 0) for row in found)
    ]
    return [columns[place] for place in kept], [[row[place] for place in kept] for row in found]


def pick(row: dict[str, Any], *names: str) -> Any:
    """The first of ``names`` that IBKR filled in."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def cut(rows: Sequence[Any], cursor: str | None, limit: int) -> tuple[Sequence[Any], str | None]:
    """The ``limit`` rows from ``cursor`` (an offset) on, and the cursor of the next ones."""
    start = offset(cursor)
    end = start + limit
    return rows[start:end], str(end) if end < len(rows) else None


def offset(cursor: str | None) -> int:
    """The offset that a cursor of ours holds; InvalidRequest for a foreign one."""
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 6:
        raise foreign_cursor(cursor)
    return int(cursor)


def foreign_cursor(cursor: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"The cursor {str(cursor)[:40]!r} is none of this tool.", action="Use 'more' of its last answer."
    )
