"""The pages about the tools and the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_mcp.reference.tool_tables import PAGES, settings, tools, updated

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("file", PAGES)
def test_the_page_shows_what_there_is(file: str) -> None:
    page = (DOCS / file).read_text("utf-8")
    assert updated(page, PAGES[file]()) == page, "run: python -m ib_mcp.reference.tool_tables docs"


def test_tools_have_their_required_parameters_and_defaults() -> None:
    line = next(line for line in tools().splitlines() if "`get_price_history`" in line)
    assert "**symbol**" in line
    assert "limit = 300" in line
    assert "trades/midpoint/bid_ask" in line


def test_settings_have_their_defaults_and_no_secret_one() -> None:
    assert "| `IB_MCP_GUARD_URL` | required |" in settings()
    assert "| `IB_MCP_PORT` | 8800 |" in settings()
    assert "| `IB_MCP_TOKEN` |  |" in settings()
