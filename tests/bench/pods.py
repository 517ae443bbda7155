"""Memory of a release's containers, idle and under load, as the kubelet counts it.

``python -m tests.bench.pods NAMESPACE RELEASE``, with ``kubectl`` on the PATH; somebody is signed in there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from tests.bench.agent import Agent, client
from tests.bench.crowds import TEN
from tests.e2e.kube import Release, port_forward, run

_AGENTS = 16
_LOAD_S = 40
# The kubelet looks every ten seconds or so.
_SETTLE_S = 20


async def main(namespace: str, name: str) -> None:
    release = Release(name, namespace)
    await asyncio.sleep(_SETTLE_S)
    idle = _memory(release)
    with port_forward(release, f"svc/{release.prefix}-mcp", 80) as port:
        loaded, calls = await _load(release, f"http://127.0.0.1:{port}/mcp")
    lines = [
        f"{calls} calls in {_LOAD_S} s by {_AGENTS} agents",
        "",
        "| container | idle | under load |",
        "| --- | --- | --- |",
    ]
    for container, used in sorted(idle.items()):
        lines.append(f"| {container} | {used >> 20} MiB | {max(used, loaded.get(container, 0)) >> 20} MiB |")
    sys.stdout.write("\n".join(lines) + "\n")


async def _load(release: Release, url: str) -> tuple[dict[str, int], int]:
    """The most that each container held while agents ask one thing after another, and how often they did."""
    until = time.monotonic() + _LOAD_S
    most: dict[str, int] = {}

    async def ask(connections: Any, number: int) -> int:
        agent = Agent(connections, url, token, f"bench-{number}")
        calls = 0
        while time.monotonic() < until:
            symbol = TEN[(number + calls) % len(TEN)]
            tool = ("get_price_history", "get_contract_details", "get_account_positions")[calls % 3]
            await agent.call(tool, **({} if tool == "get_account_positions" else {"symbol": symbol}))
            calls += 1
        return calls

    async def watch() -> None:
        while True:
            for container, used in (await asyncio.to_thread(_memory, release)).items():
                most[container] = max(most.get(container, 0), used)
            await asyncio.sleep(2)

    token = release.token("mcp")
    watching = asyncio.create_task(watch())
    async with client() as connections:
        calls = await asyncio.gather(*(ask(connections, number) for number in range(_AGENTS)))
    watching.cancel()
    return most, sum(calls)


def _memory(release: Release) -> dict[str, int]:
    """Bytes of the working set by container, of the release's pods that run."""
    used: dict[str, int] = {}
    nodes = run("kubectl", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    for node in nodes:
        summary = json.loads(run("kubectl", "get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
        for pod in summary["pods"]:
            about = pod["podRef"]
            if about["namespace"] == release.namespace and about["name"].startswith(f"{release.prefix}-"):
                for container in pod.get("containers", ()):
                    if "memory" in container:
                        used[container["name"]] = container["memory"]["workingSetBytes"]
    return used


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
