"""A guard that trades with the simulator, in process and in virtual time; limits know what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from ib_keepalive.guard.auth import Token
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.facts import Facts, Instrument, Price
from ib_keepalive.trading.intent import OrderIntent
from ib_keepalive.trading.policy import Policy, PolicyFile
from ib_keepalive.trading.routes import TradingRoutes
from ib_keepalive.trading.service import Trading
from ib_simulator.app import Simulator
from ibkr import catalogue
from support.guard import Guarded, Session, guarded, guarded_in_process
from support.inline import Inline
from support.simulator import AAPL, IBM, PAPER, SPY

STOCKS = {"AAPL": AAPL, "IBM": IBM, "SPY": SPY}
APPROVER = "approver-secret-of-tests"
QUESTIONS = 'questions = ["o163", "o354", "o383", "o451", "o403", "o10331", "o10151"]\n'
PAPER_POLICY = f'mode = "paper"\napproval = "none"\n{QUESTIONS}'


@dataclass
class ToldFacts:
    """What the limits know; ``asked`` counts."""

    facts: Facts = field(
        default_factory=lambda: Facts(
            is_paper=True,
            accounts=frozenset({PAPER}),
            base="USD",
            instruments={conid: Instrument(conid, symbol, "STK", "USD") for symbol, conid in STOCKS.items()},
            prices={conid: Price(0.0, Decimal(200), Decimal(200), Decimal(200)) for conid in STOCKS.values()},
            positions=dict.fromkeys(STOCKS.values(), Decimal(1000)),
            pending=(),
        )
    )
    asked: int = 0

    async def gather(self, intent: OrderIntent, policy: Policy, caller: Caller) -> Facts:
        self.asked += 1
        return self.facts


@dataclass
class Traded:
    """A guard with its trading; ``broker`` is IBKR. ``directory`` outlives it."""

    g: Guarded
    trading: Trading
    broker: Simulator
    facts: ToldFacts
    directory: Path

    @property
    def client(self) -> httpx.AsyncClient:
        return self.g.client

    def say(self, policy: str) -> None:
        (self.directory / "policy.toml").write_text(policy)

    async def preview(self, *orders: dict[str, Any], caller: str = "anna", **more: Any) -> dict[str, Any]:
        body = {"kind": "place", "account": PAPER, "orders": list(orders or (order(),)), **more}
        response = await self.client.post("/trading/tickets", json=body, headers={"ib-caller": caller})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def ticket(self, *orders: dict[str, Any], caller: str = "anna", **more: Any) -> str:
        answer = await self.preview(*orders, caller=caller, **more)
        assert not answer["refused"], answer["refused"]
        ticket: str = answer["ticket"]
        return ticket

    async def submit(self, ticket: str, caller: str = "anna", **more: str) -> httpx.Response:
        return await self.client.post(
            f"/trading/tickets/{ticket}/submit", json={}, headers={"ib-caller": caller, **more}
        )

    async def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A call of IBKR's own API below the account's path, or of any with a slash before it."""
        where = path if path.startswith("/") else f"/iserver/account/{PAPER}/{path}"
        return await self.client.request(method, f"/v1/api{where}", **more)

    async def watch(self) -> None:
        """Ask for the price, so that IBKR has no question about an order near it."""
        response = await self.g.get(f"/iserver/marketdata/snapshot?conids={AAPL}&fields=31")
        assert response.status_code == 200

    def placed(self, client_order_id: str | None = None) -> list[Any]:
        """The orders that IBKR has, all or under one id."""
        world = self.broker.backend.worlds["paper"]
        orders = world.orders.all(self.broker.clock.now())
        ours = [each for each in orders if each.handle.startswith(("ibmcp-", "mine"))]
        return [each for each in ours if client_order_id in (None, each.handle)]


def order(**changes: Any) -> dict[str, Any]:
    """A limit order far from the market, which rests."""
    return {
        "conid": AAPL, "orderType": "LMT", "side": "BUY", "quantity": 5, "price": 100.0, "tif": "GTC", **changes
    }  # fmt: skip


@asynccontextmanager
async def traded(
    broker: Simulator,
    directory: Path,
    policy: str = PAPER_POLICY,
    session: Session | None = None,
    *,
    on_sockets: bool = False,
) -> AsyncIterator[Traded]:
    """``directory`` holds what outlives a restart, the policy too. ``on_sockets``: in real time, with a real thread."""
    (directory / "policy.toml").write_text(policy)
    facts = ToldFacts()
    before = guarded if on_sockets else guarded_in_process
    async with before(broker.app, session, wall=broker.clock.now) as g:
        trading = Trading(
            PolicyFile(directory / "policy.toml"),
            directory,
            guard=g.guard,
            operations=catalogue.load(),
            facts=facts,
            wall=broker.clock.now,
            approval_url="https://localhost:5443/approvals",
            metrics=g.metrics,
            executor=None if on_sockets else Inline(),
        )
        g.guard.orders = TradingRoutes(trading, Token(APPROVER))
        await trading.open()
        try:
            yield Traded(g, trading, broker, facts, directory)
        finally:
            await trading.close()
            await asyncio.sleep(0)
