"""Approval by the person at the agent's client, with the official client on every wire, against `ib-mcp up`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import mcp_types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ib_mcp.guard import router
from ib_mcp.http.app import create_app
from ib_mcp.server.server import create_server
from ib_mcp.settings import HttpSettings
from support import stack
from support.agent import GUARD, GUARD_TOKEN, agent
from support.answers import body_of
from support.serve import InProcess, serve
from support.trading import APPROVER, QUESTIONS

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 2, "limit": 300, "tif": "GTC"}
TOKEN = "token-of-a-trader-in-tests"
WIRES = ["http legacy", "http 2026-07-28", "stdio legacy", "stdio 2026-07-28"]


@dataclass
class Trader:
    """A running stack and its owner's policy."""

    stack: stack.Running
    policy: Path

    def say(self, approval: str) -> None:
        self.policy.write_text(f'mode = "paper"\napproval = "{approval}"\n{QUESTIONS}')


@dataclass
class PersonAtClient:
    """Ticks the box or not, puts the form away, or is asked by a client that has no forms."""

    does: str
    asked: list[str] = field(default_factory=list)

    @property
    def callback(self) -> Callable[..., Any] | None:
        return None if self.does == "cannot be asked" else self._answer

    async def _answer(
        self, context: Any, params: mcp_types.ElicitRequestParams
    ) -> mcp_types.ElicitResult | mcp_types.ErrorData:
        self.asked.append(params.message)
        if self.does in ("decline", "cancel"):
            return mcp_types.ElicitResult(action="decline" if self.does == "decline" else "cancel")
        return mcp_types.ElicitResult(action="accept", content={"approve": self.does == "approve"})


@pytest.fixture(scope="module")
def trader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    folder = tmp_path_factory.mktemp("up")
    with stack.up(folder, "--trading", "paper") as running:
        (policy,) = folder.rglob("policy.toml")
        yield Trader(running, policy)


@asynccontextmanager
async def client_of(trader: Trader, wire: str, person: PersonAtClient) -> AsyncIterator[Client]:
    transport, mode = wire.split()
    more: dict[str, Any] = {"mode": mode, "elicitation_callback": person.callback}
    if transport == "stdio":
        arguments = ["-m", "ib_mcp", "stdio"]
        environment = {"XDG_STATE_HOME": trader.stack.environment["XDG_STATE_HOME"]}
        server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
        async with Client(server, **more) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {trader.stack.mcp_token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as web,
        Client(streamable_http_client(trader.stack.mcp_url, http_client=web), **more) as client,
    ):
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    body: dict[str, Any] = body_of(answer)
    assert not answer.is_error, body
    return body


async def submitted(client: Client) -> tuple[str, dict[str, Any]]:
    ticket = (await called(client, "preview_order", **ORDER))["ticket"]
    return ticket, await called(client, "submit_order", ticket=ticket)


@pytest.mark.parametrize("wire", WIRES)
async def test_what_the_person_approves_is_sent(trader: Trader, wire: str) -> None:
    trader.say("ask")
    person = PersonAtClient("approve")
    async with client_of(trader, wire, person) as client:
        ticket, answer = await submitted(client)
        assert (answer["mode"], answer["outcome"]) == ("paper", "working")
        (shown,) = person.asked
        for part in ("PAPER account DU7420001", "BUY 2 IBM, limit 300 USD, until cancelled", "Cost:", "commission"):
            assert part in shown, shown
        again = await called(client, "submit_order", ticket=ticket)
        assert again["repeated"]
        assert len(person.asked) == 1


@pytest.mark.parametrize(
    ("wire", "does"),
    [(WIRES[0], "decline"), (WIRES[1], "decline"), (WIRES[0], "accept without the tick"), (WIRES[2], "decline")],
)
async def test_what_the_person_refuses_is_not(trader: Trader, wire: str, does: str) -> None:
    trader.say("ask")
    async with client_of(trader, wire, PersonAtClient(does)) as client:
        ticket, answer = await submitted(client)
        assert answer["outcome"] == "declined"
        assert "refused by the person at" in answer["message"]
        assert (await called(client, "submit_order", ticket=ticket))["outcome"] == "declined"


@pytest.mark.parametrize("wire", WIRES[:2])
@pytest.mark.parametrize("does", ["cancel", "cannot be asked"])
async def test_without_an_answer_the_order_waits_for_the_page(trader: Trader, wire: str, does: str) -> None:
    trader.say("ask")
    async with client_of(trader, wire, PersonAtClient(does)) as client:
        ticket, answer = await submitted(client)
        assert answer["outcome"] == "approval_needed"
        assert answer["approval_url"].endswith(f"/approvals?ticket={ticket}")


@pytest.mark.parametrize("wire", WIRES[:2])
async def test_where_the_owner_wants_the_page_no_client_is_asked_nor_believed(trader: Trader, wire: str) -> None:
    trader.say("page")
    person = PersonAtClient("approve")
    async with client_of(trader, wire, person) as client:
        ticket, answer = await submitted(client)
        assert answer["outcome"] == "approval_needed"
        assert person.asked == []
    # An answer to a question that nobody asked, as a client that is no honest one may send it.
    said = {"jsonrpc": "2.0", "id": f"approval-{ticket}", "result": {"action": "accept", "content": {"approve": True}}}
    headers = {
        "Authorization": f"Bearer {trader.stack.mcp_token}",
        "Accept": "application/json, text/event-stream",
        "mcp-session-id": "asks-made-up",
        "mcp-protocol-version": "2025-11-25",
    }
    async with httpx2.AsyncClient(headers=headers) as web:
        assert (await web.post(trader.stack.mcp_url, json=said)).status_code == 202
    async with client_of(trader, wire, person) as client:
        assert (await called(client, "submit_order", ticket=ticket))["outcome"] == "approval_needed"


class OtherReplica:
    """Two replicas behind one address: answers to questions come to another one than the calls."""

    def __init__(self, first: ASGIApp, second: ASGIApp) -> None:
        self._first, self._second = first, second
        self.answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Its start and end; that of the second one is the test's.
            await self._first(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        is_answer = b'"result"' in b"".join(message.get("body", b"") for message in messages)
        self.answers += is_answer

        async def read() -> Message:
            return messages.pop(0) if messages else await receive()

        await (self._second if is_answer else self._first)(scope, read, send)


@pytest.mark.parametrize(("does", "outcome"), [("approve", "working"), ("decline", "declined")])
async def test_an_answer_may_come_to_another_replica(tmp_path: Path, does: str, outcome: str) -> None:
    policy = f'mode = "paper"\napproval = "ask"\n{QUESTIONS}'
    given = HttpSettings(
        guard_url=GUARD,
        guard_token=GUARD_TOKEN,
        trading=True,
        approver_token=APPROVER,
        token=f"{TOKEN} ibkr:read ibkr:trade",
    )
    person = PersonAtClient(does)
    async with AsyncExitStack() as opened:
        a = await opened.enter_async_context(agent(trading=tmp_path, policy=policy))
        replicas = []
        for _ in range(2):
            guard = await opened.enter_async_context(router.connect(given, InProcess(a.keepalive.data)))
            app = create_app(given, create_server(given, guard, a.simulator.clock.now), guard)
            replicas.append(app)
        await opened.enter_async_context(replicas[1].router.lifespan_context(replicas[1]))
        front = OtherReplica(*replicas)
        url = await opened.enter_async_context(serve(front))
        web = await opened.enter_async_context(httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}))
        transport = streamable_http_client(f"{url}/mcp", http_client=web)
        client = Client(transport, mode="legacy", elicitation_callback=person.callback)
        _, answer = await submitted(await opened.enter_async_context(client))
        assert answer["outcome"] == outcome
        assert front.answers == 1
