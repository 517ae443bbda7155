"""More questions than IBKR answers, none of them shared: is everyone served alike, is the rest told the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from tests.bench.agent import Answer
from tests.bench.crowds import distinct_symbols
from tests.bench.figures import Figure
from tests.bench.running import started

AGENTS = 16
ASKING_S = 20
PER_SECOND = 1.5
_LAST_DAY = date(2026, 6, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """``first`` and, after a refusal, ``second``: what it was told when it came back at the time it was given."""

    agent: int
    first: Answer
    first_at: float
    second: Answer | None = None


async def measure() -> list[Figure]:
    """Each agent asks for another history every two thirds of a second, whether or not it has its answers."""
    symbols = distinct_symbols(AGENTS)
    async with started() as bench:
        agents = [bench.agent(f"agent-{number}") for number in range(AGENTS)]
        # What is asked below is one request to IBKR each, once the instrument is known and its feed awake.
        for agent, symbol in zip(agents, symbols, strict=True):
            await agent.call("get_price_history", symbol=symbol, period="1m")
        clock = asyncio.get_running_loop().time
        begun = clock()

        async def ask(number: int, turn: int) -> Asked:
            await asyncio.sleep(max(0.0, begun + turn / PER_SECOND + number / AGENTS / PER_SECOND - clock()))
            end = (_LAST_DAY - timedelta(days=turn)).isoformat()
            question = {"symbol": symbols[number], "period": "1m", "end": end}
            first = await agents[number].call("get_price_history", **question)
            at = clock() - begun
            if first.error != "pacing_limited" or first.retry_after_s is None:
                return Asked(number, first, at)
            await asyncio.sleep(first.retry_after_s)
            return Asked(number, first, at, await agents[number].call("get_price_history", **question))

        turns = range(int(ASKING_S * PER_SECOND))
        asked = await asyncio.gather(*(ask(number, turn) for turn in turns for number in range(AGENTS)))
        refused_upstream = await bench.refusals()
    served = Counter(dict.fromkeys(range(AGENTS), 0))
    served.update(each.agent for each in asked if each.first.error is None and each.first_at <= ASKING_S)
    average = max(1, served.total()) / AGENTS
    told = [each for each in asked if each.second is not None]
    kept = sum(each.second is not None and each.second.error is None for each in told)
    others = Counter(each.first.error for each in asked if each.first.error not in (None, "pacing_limited"))
    others.update(f"{each.second.error} on return" for each in told if each.second is not None and each.second.error)
    longest = max((each.first.retry_after_s or 0 for each in told), default=0)
    note = f"{len(asked)} questions, {len(told)} told pacing_limited, to return within {longest:.0f} s"
    if others:
        note += "; " + ", ".join(f"{count} {code}" for code, count in others.items())
    unexplained = sum(each.first.error is not None and each.second is None for each in asked)
    return [
        Figure(
            "distinct histories beyond the limit: least-served agent over the average",
            100 * min(served.values()) / average,
            80,
            " %",
            at_least=True,
            note=f"{served.total()} answered in {ASKING_S} s, {min(served.values())} to {max(served.values())} each",
        ),
        Figure(
            "of those told when to return, answered then",
            100 * kept / len(told) if told else 0.0,
            100,
            " %",
            at_least=True,
            note=note,
        ),
        Figure("failed without being told when to return", unexplained, 0),
        Figure("distinct histories beyond the limit: refused by IBKR (429)", refused_upstream, 0),
    ]
