"""What a thousand gateways cost the operator: memory, CPU and writes, against a real API server.

``python -m tests.bench.operator [GATEWAYS]`` prints it. The gateways are one web server on many loopback addresses.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psutil
from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ib_operator.kubernetes.names import GATE
from support import api_server
from support.api_server import ApiServer
from tests.bench.figures import Figure

GATEWAYS = 1000
_MEMORY_MIB = 128
_CORE_PERCENT = 20
_SETTLE_S = 120
_MEASURE_S = 60
_AT_ONCE = 20
_NAMESPACE = "ns1"


async def measure(gateways: int = GATEWAYS) -> list[Figure]:
    """Memory (RSS), CPU of one core, and writes in a minute in which nothing changes but the heartbeats."""
    account = f"system:serviceaccount:{_NAMESPACE}:demo-ib-mcp-operator"
    runner, looks, port = await _serve_gateways()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            api_server.running(Path(folder), {"operator": account}) as (api, _),
        ):
            await _populate(api, gateways)
            return await _watch_process(api, gateways, port, looks)
    finally:
        await runner.cleanup()


async def _serve_gateways() -> tuple[web.AppRunner, list[int], int]:
    looks = [0]
    status = {
        "schema": 1, "state": "authenticated", "observed_at": 1.0, "state_since": 1.0, "mode": "paper",
        "login": {"url_hint": "run 'kubectl port-forward' and open http://localhost:5000"},
        "policy": {"paused": False, "reopen": True, "max_attempts": None, "set_at": 1.0},
    }  # fmt: skip

    async def answer(_: web.Request) -> web.Response:
        looks[0] += 1
        return web.json_response(status)

    app = web.Application()
    app.router.add_get("/status", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0, backlog=1024)
    await site.start()
    return runner, looks, runner.addresses[0][1]


async def _populate(api: ApiServer, gateways: int) -> None:
    """Pods that run and their sessions, as many as asked for."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}})
    objects = api_server.rendered(_NAMESPACE, "--set=operator.enabled=true,simulator.enabled=true")
    kinds = ("CustomResourceDefinition", "Role", "RoleBinding")
    api.apply(*(one for one in objects if one["kind"] in kinds))
    room = asyncio.Semaphore(_AT_ONCE)
    verify = ssl.create_default_context(cafile=str(api.ca_file))
    async with httpx.AsyncClient(base_url=api.url, headers=api.admin.headers, verify=verify, timeout=60) as client:

        async def make(number: int) -> None:
            async with room:
                name, address = f"g{number}", f"127.1.{number // 250}.{number % 250 + 1}"
                pods = f"/api/v1/namespaces/{_NAMESPACE}/pods"
                await _post(client, pods, _pod(name))
                running = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
                merge = {"Content-Type": "application/merge-patch+json"}
                answer = await client.patch(f"{pods}/{name}-0/status", content=json.dumps(running), headers=merge)
                answer.raise_for_status()
                session = {
                    "apiVersion": "ib-mcp.dev/v1alpha1", "kind": "BrokerageSession", "metadata": {"name": name},
                    "spec": {"gatewayRef": {"name": name}},
                }  # fmt: skip
                await _post(client, f"/apis/ib-mcp.dev/v1alpha1/namespaces/{_NAMESPACE}/brokeragesessions", session)

        await asyncio.sleep(2)
        await asyncio.gather(*(make(number) for number in range(gateways)))


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    (await client.post(path, json=body)).raise_for_status()


def _pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-0",
            "labels": {"app.kubernetes.io/component": "gateway", "app.kubernetes.io/part-of": "ib-mcp"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": "1"}],
        },
        "spec": {"containers": [{"name": "gateway", "image": "none"}], "readinessGates": [{"conditionType": GATE}]},
    }


async def _watch_process(api: ApiServer, gateways: int, port: int, looks: list[int]) -> list[Figure]:
    # Found free by the system, though another program could take it in between.
    web_port = api_server.free_port()
    environment = os.environ | {
        "IB_OPERATOR_NAMESPACES": _NAMESPACE,
        "IB_OPERATOR_API_URL": api.url,
        "IB_OPERATOR_API_CA_FILE": str(api.ca_file),
        "IB_OPERATOR_API_TOKEN_FILE": str(api.token_file("operator")),
        "IB_OPERATOR_CONTROL_PORT": str(port),
        "IB_OPERATOR_PORT": str(web_port),
        "IB_OPERATOR_HOST": "127.0.0.1",
        # As in the image.
        "MALLOC_ARENA_MAX": "1",
    }
    command = (sys.executable, "-m", "ib_operator")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=subprocess.DEVNULL)
    try:
        seen = psutil.Process(process.pid)
        await asyncio.sleep(_SETTLE_S)
        writes, polled, cpu = await _writes(web_port), looks[0], seen.cpu_times()
        await asyncio.sleep(_MEASURE_S)
        after = seen.cpu_times()
        share = 100 * (after.user + after.system - cpu.user - cpu.system) / _MEASURE_S
        memory = seen.memory_info().rss / 2**20
        polls, written = looks[0] - polled, await _writes(web_port) - writes
        note = f"{polls / _MEASURE_S:.0f} looks a second"
        return [
            Figure(f"memory of the operator with {gateways} gateways", memory, _MEMORY_MIB, " MiB"),
            Figure(f"CPU of the operator with {gateways} gateways", share, _CORE_PERCENT, " % of a core", note=note),
            # A heartbeat for the pod and one for the session in five minutes each.
            Figure("writes a gateway and minute while nothing changes", written / gateways, 0.5),
        ]
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def _writes(port: int) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("ibmcp_operator_writes_total{"))


def main() -> int:
    figures = asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else GATEWAYS))
    for figure in figures:
        sys.stdout.write("  ".join(figure.cells()) + "\n")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
