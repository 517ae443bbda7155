"""The Endpoints Status table."""

from __future__ import annotations

import json
from pathlib import Path

from ib_mcp.reference import endpoint_table
from ibkr import catalogue, not_served

PAGE = Path(__file__).parents[4] / "docs" / "endpoints.md"

ROWS = """
[get_thing]
call = "GET /things/{thingId}"
title = "One thing | or another"
tags = ["Orders", "Contract"]
tier = "brokerage?"
effect = "read"
pacing = "1/900"
concurrent = 5

[list_things]
call = "GET /things"
title = "All things of which there is more to say than fits into the forty columns of a terminal"
tags = ["Session"]
tier = "sso"
effect = "read"
pacing = "10/1"

[drop_things]
call = "POST /things/drop"
title = "Drop all things"
tags = ["Session"]
tier = "sso"
effect = "write"
status = "unsupported"
reason = "They were never there."
"""


def test_the_page_in_docs_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == endpoint_table.markdown(catalogue.load()), (
        "docs/endpoints.md is stale; make it again: ib-mcp endpoints status --markdown > docs/endpoints.md"
    )


def test_markdown_has_a_table_per_group_with_every_fact() -> None:
    page = endpoint_table.markdown(catalogue.parse(ROWS))
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# Endpoints Status",
        "## Session",
        "## Orders",
        "## Published, but not served by the gateway",
        *(f"### `{elsewhere.prefix}`" for elsewhere in not_served.load()),
    ]
    assert "3 operations: 2 supported, 1 unsupported." in page
    assert [line for line in page.splitlines() if line.startswith("| `")] == [
        "| `list_things` | `GET /things` | All things of which there is more to say than fits into the forty columns"
        " of a terminal | sso | read | call | 10 per s | supported |",
        "| `drop_things` | `POST /things/drop` | Drop all things | sso | write |  | "
        " | unsupported: They were never there. |",
        r"| `get_thing` | `GET /things/{thingId}` | One thing \| or another | brokerage? | read"
        " | call | 1 per 15 min, 5 at a time | supported |",
    ]


def test_plain_text_keeps_to_the_width_and_says_everything() -> None:
    text = endpoint_table.plain(catalogue.parse(ROWS), width=60)
    assert text.splitlines() == [
        "Session (2)",
        "",
        "  GET    /things            sso, read, 10 per s, supported",
        "         list_things: All things of which there is more to",
        "           say than fits into the forty columns of a",
        "           terminal",
        "  POST   /things/drop       sso, write, unsupported",
        "         drop_things: Drop all things",
        "         They were never there.",
        "",
        "Orders (1)",
        "",
        "  GET    /things/{thingId}  brokerage?, read, 1 per 15 min, 5 at a time, supported",
        "         get_thing: One thing | or another",
        "",
        "3 operations: 2 supported, 1 unsupported.",
    ]


def test_json_holds_every_column() -> None:
    rows = json.loads(endpoint_table.as_json(catalogue.parse(ROWS)))["endpoints"]
    assert [row["id"] for row in rows] == ["get_thing", "list_things", "drop_things"]
    assert rows[0]["pacing"] == {"calls": 1, "seconds": 900.0}
    assert rows[0]["tier_assumed"] is True
    assert rows[2]["reason"] == "They were never there."


def test_every_operation_is_in_every_form() -> None:
    forms = [form(catalogue.load()) for form in (endpoint_table.markdown, endpoint_table.plain, endpoint_table.as_json)]
    for endpoint in catalogue.load():
        assert all(endpoint.id in form and endpoint.path in form for form in forms)
