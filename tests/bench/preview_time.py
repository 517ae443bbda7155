"""What MCP server and guard add to the preview of an order, for one caller.

A preview asks IBKR for prices and a what-if, both at once; directly the same two are asked at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.bench.figures import Figure, percentile
from tests.bench.running import Bench, started

_PAIRS = 100
_ACCOUNT, _CONID = "DU7420001", 265598
# A preview is two requests, and IBKR takes ten a second.
_PAUSE_S = 0.25
_POLICY = 'mode = "paper"\napproval = "none"\n'


async def measure() -> list[Figure]:
    """In turns a preview through everything and its requests straight to the simulator; differences of the pairs."""
    async with started("--trading", "paper") as bench:
        await _unlimit(bench)
        # Nothing is limited that would have to be read first.
        (policy,) = bench.running.folder.rglob("policy.toml")
        policy.write_text(_POLICY)
        trader = bench.agent()
        direct, through = [], []
        for number in range(_PAIRS + 5):
            # No two are the same, so that nothing is shared; IBKR's prices move as well.
            limit = 250 + number / 100
            began = time.perf_counter()
            await asyncio.gather(*(_ask(bench, *request) for request in _requests(limit)))
            direct.append(time.perf_counter() - began)
            answer = await trader.call("preview_order", symbol="AAPL", side="BUY", quantity=3, limit=limit)
            if answer.error or not answer.body["ticket"] or "cost" not in answer.body:
                raise RuntimeError(f"not previewed: {answer.body}")
            through.append(answer.seconds)
            await asyncio.sleep(_PAUSE_S)
    added = [(slow - quick) * 1000 for slow, quick in zip(through[5:], direct[5:], strict=True)]
    middle = [percentile(seconds[5:], 0.5) * 1000 for seconds in (direct, through)]
    note = f"{_PAIRS} pairs; directly {middle[0]:.1f} ms, through {middle[1]:.1f} ms"
    return [Figure("added to the preview of an order, p50", percentile(added, 0.5), 5, " ms", note=note)]


async def _unlimit(bench: Bench) -> None:
    """The direct calls are not counted by the guard, so that both together would break the limit."""
    url = f"{bench.running.simulator_control_url}/control/limits"
    async with bench.connections.post(url, json={"enabled": False}) as response:
        response.raise_for_status()


def _requests(limit: float) -> list[tuple[str, str, Any]]:
    order = {"acctId": _ACCOUNT, "conid": _CONID, "orderType": "LMT", "side": "BUY", "quantity": 3, "price": limit}
    return [
        ("GET", f"/iserver/marketdata/snapshot?conids={_CONID}&fields=84,86,31,6509", None),
        ("POST", f"/iserver/account/{_ACCOUNT}/orders/whatif", {"orders": [{**order, "tif": "DAY"}]}),
    ]


async def _ask(bench: Bench, method: str, path: str, body: Any) -> None:
    url = f"{bench.running.gateway_url}/v1/api{path}"
    async with bench.connections.request(method, url, json=body, headers={"user-agent": "bench"}) as response:
        json.loads(await response.read())
