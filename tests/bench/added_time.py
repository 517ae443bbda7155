"""What MCP server and guard add to a question that goes to IBKR, for one caller."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import date, timedelta
from urllib.parse import urlencode

from tests.bench.figures import Figure, percentile
from tests.bench.running import Bench, started

_PAIRS = 250
_SYMBOL = "AAPL"
# Below IBKR's ten a second, where nobody waits for a turn.
_PAUSE_S = 0.13
_LAST_DAY = date(2026, 6, 1)


async def measure() -> list[Figure]:
    """In turns a question through everything and the same one straight to the simulator; differences of the pairs."""
    async with started() as bench:
        await _unlimit(bench)
        agent = bench.agent()
        await agent.call("get_price_history", symbol=_SYMBOL, period="1m")
        conid = (await agent.call("get_price_history", symbol=_SYMBOL, period="1m")).body["conid"]
        direct, through = [], []
        for number in range(_PAIRS):
            day = _LAST_DAY - timedelta(days=number)
            direct.append(await _ask_directly(bench, conid, day))
            answer = await agent.call("get_price_history", symbol=_SYMBOL, period="1m", end=day.isoformat())
            if answer.error or not answer.body["bars"]["rows"]:
                raise RuntimeError(f"not answered: {answer.body}")
            through.append(answer.seconds)
            await asyncio.sleep(_PAUSE_S)
    added = [(slow - quick) * 1000 for slow, quick in zip(through, direct, strict=True)]
    middle = [percentile(seconds, 0.5) * 1000 for seconds in (direct, through)]
    note = f"{_PAIRS} pairs; directly {middle[0]:.1f} ms, through {middle[1]:.1f} ms"
    return [
        Figure("added to a direct call, p50", percentile(added, 0.5), 4, " ms", note=note),
        Figure("added to a direct call, p99", percentile(added, 0.99), 20, " ms"),
    ]


async def _unlimit(bench: Bench) -> None:
    """The direct calls are not counted by the guard, so that both together would break the limit."""
    url = f"{bench.running.simulator_control_url}/control/limits"
    async with bench.connections.post(url, json={"enabled": False}) as response:
        response.raise_for_status()


async def _ask_directly(bench: Bench, conid: int, day: date) -> float:
    query = {"conid": conid, "period": "1m", "bar": "1d", "outsideRth": "false", "startTime": f"{day:%Y%m%d}-00:00:00"}
    url = f"{bench.running.gateway_url}/v1/api/iserver/marketdata/history?{urlencode(query)}"
    began = time.perf_counter()
    async with bench.connections.get(url, headers={"user-agent": "bench"}) as response:
        body = json.loads(await response.read())
    if not body.get("data"):
        raise RuntimeError(f"not answered: {body}")
    return time.perf_counter() - began
