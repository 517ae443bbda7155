"""The order examples of the docs, previewed and placed by symbol: what IBKR is asked, compared with a golden table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from support.agent import Agent, agent
from support.order_examples import EXAMPLES, PARENT, Example
from support.trading import PAPER_POLICY

pytestmark = pytest.mark.looptime

# Of an amount of money IBKR asks whether whole shares will do.
POLICY = PAPER_POLICY.replace('["', '["o10223", "', 1)
_SYMBOL = re.compile(r"\{([A-Za-z0-9. ]+)\}")


class OrderBodies:
    """Keeps the bodies of what IBKR is asked about orders, by the end of the path."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def before(self, gateway: ASGIApp) -> ASGIApp:
        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or "/iserver/account/DU" not in scope["path"] or scope["method"] != "POST":
                await gateway(scope, receive, send)
                return
            content = b""

            async def read() -> Message:
                nonlocal content
                message = await receive()
                content += message.get("body", b"")
                if not message.get("more_body") and content:
                    self.seen.append((scope["path"].rpartition("/")[2], json.loads(content)))
                    content = b""
                return message

            await gateway(scope, read, send)

        return recorded

    def last(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [body for path, body in self.seen if path == kind][-1]["orders"]
        return found


async def conids(a: Agent, example: Example) -> dict[str, int]:
    """Of the symbols in an example's requests."""
    names = set(_SYMBOL.findall(json.dumps(example.orders))) - {PARENT.strip("{}")}
    return {name: (await a.read("get_contract_details", symbol=name)).body["conid"] for name in names}


def filled(value: Any, fill: Callable[[str], Any]) -> Any:
    """``value`` with what stands in braces replaced; a conid alone is a number."""
    if isinstance(value, dict):
        return {key: filled(inner, fill) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    if alone := _SYMBOL.fullmatch(value):
        return fill(alone[1])
    return _SYMBOL.sub(lambda found: str(fill(found[1])), value)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
async def test_an_example_is_previewed_and_placed_as_ibkr_documents_it(example: Example, tmp_path: Path) -> None:
    bodies = OrderBodies()
    async with agent(trading=tmp_path, policy=POLICY, before_gateway=bodies.before) as a:
        known = await conids(a, example)
        preview = await a.read("preview_order", **example.arguments)
        assert preview.body["mode"] == "paper"
        assert preview.body["ticket"], preview.text
        asked = bodies.last("whatif")
        parent = asked[0].get("cOID", "")
        expected = [filled(order, lambda name: known.get(name, parent)) for order in example.orders]
        assert asked == expected

        placed = await a.read("submit_order", ticket=preview.body["ticket"])
        assert placed.body["outcome"] in ("working", "filled"), placed.text
        sent = bodies.last("orders")
        own = [order.pop("cOID") for order in sent if "parentId" not in order]
        assert len(set(own)) == len(own)
        assert sent == [{name: value for name, value in order.items() if name != "cOID"} for order in expected]
        listed = (await a.read("get_account_orders", status="all")).rows("orders")
        assert {order["own_id"] for order in listed} >= set(own)


def test_the_docs_show_every_example() -> None:
    page = (Path(__file__).parents[4] / "docs" / "trading.md").read_text("utf-8")
    for example in EXAMPLES:
        assert f"| {example.name} | `{json.dumps(example.arguments)}` |" in page, example.name
