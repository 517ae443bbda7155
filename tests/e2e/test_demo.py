"""The chart's demonstration, as the README says it: install, sign in by port-forward, an agent through TLS."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from mcp.shared.exceptions import MCPError

from e2e.agent import agent, sign_in
from e2e.conftest import Install, Node
from e2e.front import HOST, certificate, serving
from e2e.kube import REFUSED, Release, port_forward, ready, run, until
from support.answers import body_of

MCP = f"https://{HOST}/mcp"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("front"))


@pytest.fixture(scope="module")
def demo(install: Install, authority: Path) -> Iterator[Release]:
    def secret(release: Release) -> None:
        folder = authority.parent
        release.kubectl("create", "secret", "tls", "front", f"--cert={folder}/tls.crt", f"--key={folder}/tls.key")

    options = (
        "--set=simulator.enabled=true",
        f"--set=mcp.ingress.enabled=true,mcp.ingress.host={HOST},mcp.ingress.tls.secretName=front",
    )
    with install("demo", *options, before=secret) as release, serving(release.namespace, f"{release.prefix}-mcp"):
        yield release


def test_before_the_login_the_release_is_tested_and_says_who_must_sign_in(demo: Release) -> None:
    assert "Succeeded" in demo.helm("test", demo.name, "--timeout", "60s")
    demo.reaches("login_required")


async def test_an_agent_is_told_how_to_sign_in(demo: Release, authority: Path) -> None:
    async with agent(MCP, demo.token("mcp"), authority) as client:
        answer = await client.call_tool("list_accounts", {}, raise_on_error=False)
    assert answer.is_error
    assert "login_required" in str(answer.content)
    assert f"port-forward svc/{demo.prefix}-gateway 5000" in str(answer.content)


async def test_without_the_token_an_agent_is_asked_for_it(demo: Release, authority: Path) -> None:
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(authority))) as client:
        answer = await client.post(MCP, json={})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_browser_signs_in_by_port_forward_and_the_agent_reads_positions(demo: Release, authority: Path) -> None:
    with port_forward(demo, f"svc/{demo.prefix}-gateway", 5000) as port:
        await sign_in(f"http://localhost:{port}/")
    demo.reaches("authenticated")
    async with agent(MCP, demo.token("mcp"), authority) as client:
        answer = await client.call_tool("get_account_positions", {})
    assert body_of(answer)["positions"]["rows"]


def test_after_the_login_the_release_is_tested_again(demo: Release) -> None:
    assert "Succeeded" in demo.helm("test", demo.name, "--timeout", "60s")


def test_a_changed_mcp_server_leaves_the_gateway_and_its_login_alone(demo: Release) -> None:
    before = demo.pods("gateway")[0]["metadata"]["uid"]
    tokens = [demo.token(part) for part in ("guard", "mcp")]
    demo.upgrade("--set=mcp.resources.requests.cpu=60m")
    demo.upgrade("--set=mcp.resources.requests.cpu=70m")
    assert demo.pods("gateway")[0]["metadata"]["uid"] == before
    assert demo.status()["state"] == "authenticated"
    assert [demo.token(part) for part in ("guard", "mcp")] == tokens


async def test_an_agent_hardly_notices_an_upgrade(demo: Release, authority: Path) -> None:
    replaced = demo.pods("mcp")[0]["metadata"]["name"]
    async with agent(MCP, demo.token("mcp"), authority) as client:
        upgrade = asyncio.create_task(asyncio.to_thread(demo.upgrade, "--set=mcp.resources.requests.cpu=80m"))
        silences = []
        while not upgrade.done() or replaced in demo.kubectl("get", "pods", "-o", "name"):
            silences.append(await _silence(client))
            await asyncio.sleep(0.1)
        await upgrade
    assert len(silences) > 5
    assert max(silences) < 5


async def _silence(client: Client[Any]) -> float:
    """Seconds until a call is answered that is asked again while the server's front or pod fails."""
    began = time.monotonic()
    while True:
        try:
            assert body_of(await client.call_tool("get_session_status", {}))
        except MCPError:
            assert time.monotonic() - began < 30, "no answer for 30 s"
            await asyncio.sleep(0.1)
        else:
            return time.monotonic() - began


async def test_an_agent_goes_on_after_its_mcp_pod_was_killed(demo: Release, authority: Path) -> None:
    async with agent(MCP, demo.token("mcp"), authority) as client:
        await client.call_tool("get_session_status", {})
        killed = demo.pods("mcp")[0]["metadata"]["uid"]
        demo.kubectl("delete", "pod", "-l", "app.kubernetes.io/component=mcp", "--grace-period=0", "--force")
        until(
            "another pod", lambda: [pod for pod in demo.pods("mcp") if ready(pod) and pod["metadata"]["uid"] != killed]
        )
        # A pod is ready a moment before its Service leads to it.
        assert await _silence(client) < 5


async def test_two_replicas_answer_one_client_in_turn(demo: Release, authority: Path) -> None:
    demo.upgrade("--set=mcp.replicas=2")
    until("two pods", lambda: sum(map(ready, demo.pods("mcp"))) == 2)
    async with agent(MCP, demo.token("mcp"), authority) as client:
        for _ in range(10):
            assert body_of(await client.call_tool("get_session_status", {}))
    demo.upgrade("--set=mcp.replicas=1")


def test_other_pods_reach_the_guard_with_its_token_only(demo: Release) -> None:
    address = demo.pods("gateway")[0]["status"]["podIP"]
    mcp = demo.pods("mcp")[0]["metadata"]["name"]
    assert demo.from_pod(mcp, "mcp", address, 8080, "/v1/api/portfolio/accounts") == "401"
    assert demo.from_pod(mcp, "mcp", address, 8080, "/v1/api/portfolio/accounts", demo.token("guard")) == "200"
    for port in (5000, 5443, 8081):
        assert demo.from_pod(mcp, "mcp", address, port) in REFUSED


def test_the_mcp_pod_reaches_nothing_but_the_guard(demo: Release) -> None:
    mcp = demo.pods("mcp")[0]
    other = demo.pods("mcp")[0]["status"]["podIP"]
    api = run("kubectl", "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    for host, port in ((api, 443), (other, 8081), ("192.0.2.1", 80)):
        assert demo.from_pod(mcp["metadata"]["name"], "mcp", host, port) in REFUSED


def test_a_keepalive_that_crashes_comes_back_signed_in(demo: Release) -> None:
    # Process 1 of its container ignores SIGKILL from inside, and heeds SIGTERM.
    demo.kubectl("exec", demo.gateway_pod, "-c", "keepalive", "--", "python3", "-c", "import os;os.kill(1,15)")
    restarted = ("pod", demo.gateway_pod)
    until(
        "a restarted keepalive",
        lambda: demo.get(*restarted)["status"]["initContainerStatuses"][-1]["restartCount"] == 1,
    )
    until("its answer", lambda: _state(demo) == "authenticated")


def _state(release: Release) -> str:
    try:
        return str(release.status()["state"])
    except AssertionError:
        return ""


def test_a_changed_gateway_waits_for_its_owner(demo: Release) -> None:
    before = demo.pods("gateway")[0]["metadata"]["uid"]
    demo.upgrade("--set=gateway.podAnnotations.changed=yes")
    assert demo.pods("gateway")[0]["metadata"]["uid"] == before
    demo.helm("rollback", demo.name, "--wait", "--timeout", "120s")
    assert demo.pods("gateway")[0]["metadata"]["uid"] == before


def test_a_restarted_node_serves_again_and_asks_for_a_login(demo: Release, node: Node) -> None:
    node.restart()
    until("a serving MCP pod", lambda: any(map(ready, demo.pods("mcp"))), seconds=120)
    until("its session", lambda: _state(demo) == "login_required", seconds=120)


def test_uninstalling_leaves_the_tokens_and_nothing_else(demo: Release) -> None:
    demo.helm("uninstall", demo.name, "--wait", "--timeout", "120s")
    kinds = "all,cm,secret,sa,ingress,networkpolicy,pdb,role,rolebinding"
    kept = {f"secret/{demo.prefix}-guard", f"secret/{demo.prefix}-mcp", "secret/front"}
    kept |= {f"secret/{demo.prefix}-mcp-tokens", "configmap/kube-root-ca.crt", "serviceaccount/default"}
    until("an empty namespace", lambda: set(demo.kubectl("get", kinds, "-o", "name").split()) == kept)
