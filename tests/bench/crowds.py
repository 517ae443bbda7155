"""Many agents at once under IBKR's ten requests a second: who is answered, and does IBKR ever have to refuse."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ib_simulator.world.tables import listed
from tests.bench.agent import Agent, Answer
from tests.bench.figures import Figure, percentile
from tests.bench.running import started

SECONDS = 12
# To begin with, 64 instruments have to be looked up; most of the calls are to come afterwards.
_DISTINCT_SECONDS = 30
TEN = ("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "JPM", "XOM", "KO")

Ask = Callable[[Agent, int], Awaitable[Answer]]


@dataclass
class Tally:
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def count(self, answer: Answer) -> None:
        self.seconds.append(answer.seconds)
        problem = answer.error or _incomplete(answer)
        if problem is None:
            self.answered += 1
        else:
            self.errors[problem] += 1


async def same() -> list[Figure]:
    return await _crowd(
        "16 agents, the same question", 16, lambda agent, _: agent.call("get_price_snapshot", symbols=["AAPL"])
    )


async def different() -> list[Figure]:
    return await _crowd("16 agents, different questions about ten symbols", 16, _any_question(random.Random(3)))


async def distinct() -> list[Figure]:
    symbols = distinct_symbols(64)
    return await _crowd(
        "64 agents, a symbol each",
        64,
        lambda agent, number: agent.call("get_price_snapshot", symbols=[symbols[number]]),
        _DISTINCT_SECONDS,
    )


def distinct_symbols(count: int) -> list[str]:
    """Of stocks that have one listing only."""
    stocks = Counter(contract.symbol for contract in listed() if contract.kind == "STK" and contract.currency == "USD")
    return [symbol for symbol, listings in stocks.items() if listings == 1 and " " not in symbol][:count]


def _any_question(chance: random.Random) -> Ask:
    async def ask(agent: Agent, _: int) -> Answer:
        symbol = chance.choice(TEN)
        match chance.choice(("prices", "history", "contract", "positions")):
            case "prices":
                return await agent.call("get_price_snapshot", symbols=[symbol])
            case "history":
                return await agent.call("get_price_history", symbol=symbol, period="1m")
            case "contract":
                return await agent.call("get_contract_details", symbol=symbol)
        return await agent.call("get_account_positions")

    return ask


async def _crowd(name: str, agents: int, ask: Ask, seconds: float = SECONDS) -> list[Figure]:
    """Each agent asks every second, from a cold start; one whose answer is late asks again at its next second."""
    tally = Tally()
    async with started() as bench:

        async def run(number: int) -> None:
            agent, clock = bench.agent(f"agent-{number}"), asyncio.get_running_loop().time
            await asyncio.sleep(number / agents)
            begun = clock()
            while (now := clock()) - begun < seconds:
                tally.count(await ask(agent, number))
                await asyncio.sleep(max(0.0, 1 - (clock() - now)))

        await asyncio.gather(*(run(number) for number in range(agents)))
        refused, upstream = await bench.refusals(), await bench.upstream()
    calls = len(tally.seconds)
    note = f"{calls} calls, {upstream} requests to IBKR; p50 {percentile(tally.seconds, 0.5) * 1000:.0f} ms"
    note += f", p99 {percentile(tally.seconds, 0.99) * 1000:.0f} ms"
    if tally.errors:
        note += "; " + ", ".join(f"{count} {code}" for code, count in tally.errors.items())
    return [
        Figure(f"{name}: answered", 100 * tally.answered / calls, 99, " %", at_least=True, note=note),
        Figure(f"{name}: refused by IBKR (429)", refused, 0),
    ]


def _incomplete(answer: Answer) -> str | None:
    """A snapshot without a price is no answer."""
    table = answer.body.get("prices")
    if table is None:
        return None
    last = table["columns"].index("last")
    return None if all(row[last] is not None for row in table["rows"]) else "no price"
