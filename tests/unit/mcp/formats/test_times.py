"""Times are ISO 8601 in UTC."""

from __future__ import annotations

from ib_mcp.formats.times import iso, iso_date, iso_ms


def test_times_are_iso_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(None) is None
    assert iso_ms("1700000000000") == iso_ms(1700000000000) == "2023-11-14T22:13:20Z"
    assert iso_ms("soon") is None
    assert iso_date(20261218) == "2026-12-18"
    assert iso_date("202612") == "2026-12"
    assert iso_date("2026-12-18") == "2026-12-18"
    assert iso_date(None) is None
