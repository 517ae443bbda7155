"""Orders on a real cluster: a new limit leaves the gateway pod alone, and a stop and the ledger outlive it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.agent import agent, approve
from e2e.conftest import Install, Node
from e2e.kube import REFUSED, Release, port_forward, until, volume
from support import cli
from support.answers import body_of

TOKEN = "trading-token-of-the-cluster-tests"
VOLUME = "e2e-orders"
# The kubelet looks for a changed ConfigMap about once a minute.
PROPAGATION_S = 180
ORDER = {"symbol": "AAPL", "side": "BUY", "quantity": 5, "limit": 250, "tif": "GTC"}


@pytest.fixture(scope="module")
def trading(install: Install, tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Release]:
    def agents(release: Release) -> None:
        token = f"{TOKEN} ibkr:read ibkr:trade name=robot"
        release.kubectl("create", "secret", "generic", "agents", f"--from-literal=token={token}")

    options = (
        "--set=simulator.enabled=true,simulator.signedIn=paper,mcp.token.existingSecret=agents",
        "--set=trading.mode=paper,trading.approval=none,trading.limits.priceDistancePercent=null",
        "--set=trading.questions={o163,o354,o383}",
        f"--set=trading.storage.className={VOLUME},trading.storage.size=512Mi",
    )
    with (
        volume(VOLUME, tmp_path_factory.mktemp("orders"), "512Mi"),
        install("trading", *options, before=agents) as release,
    ):
        release.reaches("authenticated")
        yield release


def ib_mcp(release: Release, *words: str) -> str:
    """The command line in the MCP server's pod, as the chart's notes say it."""
    return release.kubectl("exec", f"deploy/{release.prefix}-mcp", "--", "python3", "-m", "ib_mcp", *words)


def status(release: Release) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ib_mcp(release, "trading", "status", "--json"))
    return found


async def call(release: Release, tool: str, **arguments: Any) -> dict[str, Any]:
    with port_forward(release, f"svc/{release.prefix}-mcp", 80) as port:
        async with agent(f"http://127.0.0.1:{port}/mcp", TOKEN) as client:
            return dict(body_of(await client.call_tool(tool, arguments)))


def audit(release: Release) -> list[dict[str, Any]]:
    text = release.kubectl("exec", release.gateway_pod, "-c", "keepalive", "--", "cat", "/var/lib/ib-mcp/audit.jsonl")
    return [json.loads(line) for line in text.splitlines()]


async def test_a_new_limit_holds_while_an_order_works_and_leaves_the_gateway_pod_alone(trading: Release) -> None:
    preview = await call(trading, "preview_order", **ORDER)
    placed = await call(trading, "submit_order", ticket=preview["ticket"])
    assert placed["outcome"] == "working", placed
    (before,) = trading.pods("gateway")

    trading.upgrade("--set=trading.limits.quantity=2,trading.approval=page")

    until("the new limit", lambda: status(trading)["limits"]["quantity"] == 2, PROPAGATION_S)
    (after,) = trading.pods("gateway")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert _restarts(after) == _restarts(before)
    hash_of = after["metadata"]["labels"]["controller-revision-hash"]
    assert hash_of == trading.get("statefulset", f"{trading.prefix}-gateway")["status"]["updateRevision"]
    assert trading.status()["state"] == "authenticated"
    refused = await call(trading, "preview_order", **ORDER)
    assert refused["ticket"] is None
    assert "quantity: the policy permits 2, and the order's is 5." in json.dumps(refused)
    order_id = placed["orders"][0]["order_id"]
    assert (await call(trading, "get_order_status", order_id=order_id))["status"] in ("Submitted", "PreSubmitted")


async def test_a_person_approves_an_order_by_a_port_forward(trading: Release) -> None:
    if status(trading)["approval"] != "page":
        trading.upgrade("--set=trading.approval=page")
        until("approval by page", lambda: status(trading)["approval"] == "page", PROPAGATION_S)
    preview = await call(trading, "preview_order", **{**ORDER, "quantity": 1})
    waits = await call(trading, "submit_order", ticket=preview["ticket"])
    assert waits["outcome"] == "approval_needed", waits
    assert "port-forward" in waits["approval_url"]
    assert trading.status()["trading"]["pending_approvals"] == 1
    with port_forward(trading, f"pod/{trading.gateway_pod}", 5443) as port:
        await approve(f"http://localhost:{port}", "BUY 1 AAPL")
    sent = await call(trading, "submit_order", ticket=preview["ticket"])
    assert sent["outcome"] == "working", sent
    (decided,) = (event for event in audit(trading) if event["event"] == "decided")
    assert "login port" in decided["by"]


async def test_a_stop_and_the_audit_outlive_the_pod_and_only_the_owner_starts_again(
    trading: Release, tmp_path: Path
) -> None:
    assert "Trading is stopped" in ib_mcp(trading, "trading", "stop", "--reason", "a holiday")
    sent = [event["event"] for event in audit(trading)].count("sent")
    assert sent == 2
    replaced = trading.pods("gateway")[0]["metadata"]["uid"]

    def another() -> bool:
        pods = trading.pods("gateway")
        return any(pod["metadata"]["uid"] != replaced and pod["status"]["phase"] == "Running" for pod in pods)

    trading.kubectl("delete", "pod", trading.gateway_pod, "--grace-period=1")
    until("another pod", another, 120)
    trading.reaches("authenticated", 120)

    assert status(trading)["stopped"]["reason"] == "a holiday"
    assert [event["event"] for event in audit(trading)].count("sent") == sent
    with port_forward(trading, f"pod/{trading.gateway_pod}", 8081) as port:
        started = cli.run(tmp_path, "trading", "start", "--control", f"http://127.0.0.1:{port}")
    assert started.returncode == 0, started.stderr
    assert status(trading)["stopped"] is None
    assert audit(trading)[-1]["event"] == "started"


def test_nobody_but_the_operator_reaches_the_port_that_starts_trading(trading: Release) -> None:
    mcp = trading.pods("mcp")[0]["metadata"]["name"]
    address = trading.pods("gateway")[0]["status"]["podIP"]
    assert trading.from_pod(mcp, "mcp", address, 8081, "/trading/status") in REFUSED


def _restarts(pod: dict[str, Any]) -> list[tuple[str, int]]:
    states = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    return [(state["name"], state["restartCount"]) for state in states]
