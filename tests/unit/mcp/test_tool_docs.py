"""The page about the tools."""

from __future__ import annotations

from pathlib import Path

from ib_mcp.tool_docs import table, updated

PAGE = Path(__file__).parents[3] / "docs" / "tools.md"


def test_the_page_shows_the_present_tools() -> None:
    page = PAGE.read_text("utf-8")
    assert updated(page) == page, "run: python -m ib_mcp.tool_docs docs/tools.md"


def test_the_table_has_required_parameters_and_defaults() -> None:
    line = next(line for line in table().splitlines() if "`get_price_history`" in line)
    assert "**symbol**" in line
    assert "limit = 200" in line
    assert "trades/midpoint/bid_ask" in line
