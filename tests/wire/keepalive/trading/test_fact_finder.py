"""What the limits are held against, read from IBKR for one order: fresh enough, and nothing that no limit asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ib_keepalive.pacing.deadline import read_deadline
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.fact_finder import FactFinder
from ib_keepalive.trading.facts import Facts, Usage
from ib_keepalive.trading.intent import read_modify, read_place
from ib_keepalive.trading.limits import check
from ib_keepalive.trading.policy import Policy
from ib_simulator.app import Simulator
from ibkr import catalogue
from support.guard import asked, guarded_in_process
from support.order_facts import policy
from support.simulated import NOON, simulated
from support.simulator import AAPL, ES_INDEX, EUR_USD, IBM, PAPER

pytestmark = pytest.mark.looptime

PERMITS_SHORT = "short_selling = true\nnaked_options = true\n"


@dataclass
class Finding:
    """``sent``: what the ledger says was sent, as tickets."""

    finder: FactFinder
    gateway: Simulator
    sent: list[Mapping[str, Any]] = field(default_factory=list)

    async def facts(self, order: dict[str, Any], read: Policy) -> Facts:
        loop = asyncio.get_running_loop()
        caller = Caller("test", read_deadline(b"30000", loop.time(), 15))
        return await self.finder.gather(read_place(PAPER, [order]), read, caller)

    async def refusals(self, order: dict[str, Any], limits: str) -> list[str]:
        read = policy(limits)
        intent = read_place(PAPER, [order])
        results = check(read, intent, await self.facts(order, read), Usage())
        return [result.limit for result in results if not result.passed]


@asynccontextmanager
async def finding() -> AsyncIterator[Finding]:
    gateway = simulated()
    wall = gateway.clock.now
    async with guarded_in_process(gateway.app, wall=wall) as guard:
        found: Finding

        async def sent_since(_account: str, _since: float) -> Sequence[Mapping[str, Any]]:
            return found.sent

        own = guard.guard
        finder = FactFinder(catalogue.load(), own.reads, own.snapshots, own.sessions, wall, sent_since)
        found = Finding(finder, gateway)
        yield found


def ticket(conid: int = AAPL, side: str = "BUY", **more: Any) -> dict[str, Any]:
    return {"conid": conid, "orderType": "MKT", "side": side, "tif": "DAY", "quantity": 1, **more}


async def test_who_trades_and_what_is_always_read() -> None:
    async with finding() as found:
        facts = await found.facts(ticket(), policy(PERMITS_SHORT))

        assert facts.is_paper is True
        assert facts.accounts == {PAPER}
        apple = facts.instruments[AAPL]
        assert (apple.symbol, apple.security_type, apple.currency, apple.exchange) == ("AAPL", "STK", "USD", "NASDAQ")
        assert (apple.multiplier, apple.divisor) == (1, 1)


async def test_nothing_is_read_that_no_limit_asks() -> None:
    async with finding() as found:
        await found.facts(ticket(side="SELL"), policy(PERMITS_SHORT))
        await found.facts(ticket(), policy("quantity = 5"))

        for operation in ("get_price_snapshot", "list_live_orders", "list_fresh_positions", "get_exchange_rate"):
            assert asked(found.gateway, operation) == 0, operation
        assert asked(found.gateway, "get_security_definitions") == 1


async def test_a_price_of_known_age_and_the_rate_to_the_base_currency() -> None:
    async with finding() as found:
        facts = await found.facts(ticket(EUR_USD), policy("notional = 1000"))

        price = facts.prices[EUR_USD]
        assert price.age_s < 30
        assert price.bid is not None
        assert price.ask is not None
        assert price.bid < price.ask
        assert facts.base == "USD"
        assert 1 < facts.rates["EUR"] < 2


async def test_the_prices_of_futures_have_their_multiplier_and_divisor() -> None:
    async with finding() as found:
        contracts = found.gateway.backend.worlds["paper"].contracts
        conid = contracts.futures_on(ES_INDEX, datetime.fromtimestamp(NOON, UTC).date())[0].conid

        facts = await found.facts(ticket(conid, quantity=1), policy("notional = 1000"))

        assert (facts.instruments[conid].multiplier, facts.instruments[conid].divisor) == (50, 1)
        assert await found.refusals(ticket(conid, quantity=1), "notional = 1000") == ["notional"]


async def test_a_sale_is_held_against_what_is_held() -> None:
    async with finding() as found:
        facts = await found.facts(ticket(side="SELL"), policy())
        assert facts.positions is not None
        held = facts.positions[AAPL]
        assert held > 1

        assert not await found.refusals(ticket(side="SELL", quantity=float(held)), "")
        assert await found.refusals(ticket(side="SELL", quantity=float(held) + 1), "") == ["short_selling"]


async def test_what_was_sent_since_ibkr_listed_the_orders_is_not_for_sale_again() -> None:
    async with finding() as found:
        facts = await found.facts(ticket(side="SELL"), policy())
        assert facts.positions is not None
        held = float(facts.positions[AAPL])
        found.sent.append(ticket(side="SELL", quantity=held - 1, cOID="mine"))

        assert not await found.refusals(ticket(side="SELL", quantity=1), "")
        assert await found.refusals(ticket(side="SELL", quantity=2), "") == ["short_selling"]


async def test_orders_are_listed_once_for_several_sales_in_a_row() -> None:
    async with finding() as found:
        for _ in range(5):
            assert not await found.refusals(ticket(side="SELL"), "")

        # The first of a session is empty and asked again.
        assert asked(found.gateway, "list_live_orders") <= 2


async def test_what_ibkr_does_not_know_is_no_instrument() -> None:
    async with finding() as found:
        assert await found.refusals(ticket(987654321), "") == ["instrument"]


async def test_what_a_change_replaces_is_read() -> None:
    async with finding() as found:
        loop = asyncio.get_running_loop()
        caller = Caller("test", read_deadline(b"30000", loop.time(), 15))

        facts = await found.finder.gather(read_modify(PAPER, "12345", ticket(IBM)), policy(PERMITS_SHORT), caller)

        assert facts.pending is not None
        assert Decimal() not in [order.remaining for order in facts.pending]
