"""From ``ib-mcp up`` to the first answered tool call, and what an agent reads first."""

from __future__ import annotations

import statistics
import time

from tests.bench.agent import HANDSHAKE, MODERN
from tests.bench.figures import Figure
from tests.bench.running import started

_ROUNDS = 3
_MOST_S = 5
_LIST_BYTES = 12_000


async def measure() -> list[Figure]:
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        async with started() as bench:
            answer = await bench.agent().call("list_accounts")
            seconds.append(time.perf_counter() - begun)
            if answer.error:
                raise RuntimeError(f"the first call failed: {answer.body}")
            sizes = [
                Figure(
                    f"tools/list, {name} wire",
                    len(await bench.agent(wire=wire).send("tools/list")),
                    _LIST_BYTES,
                    " bytes",
                )
                for name, wire in (("modern", MODERN), ("handshake", HANDSHAKE))
            ]
    note = "median of " + ", ".join(f"{each:.2f}" for each in sorted(seconds))
    return [Figure("`ib-mcp up` to the first answer", statistics.median(seconds), _MOST_S, " s", note=note), *sizes]
