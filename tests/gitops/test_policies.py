"""The chart's NetworkPolicies where kube-router enforces them, on the cluster of hack/cluster without its own way."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import CLUSTER
from e2e.kube import REFUSED, Release, ready, run, until
from gitops.conftest import Namespace
from gitops.controllers import program, running

_NETNS = "--net=/run/netns/ib-mcp"
_SERVICES = "--service-cluster-ip-range=198.19.0.0/16"
_ALONE = ("--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false")


@pytest.fixture(scope="module")
def kube_router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    own = run(sys.executable, str(CLUSTER), "kubeconfig").strip()
    if os.environ["KUBECONFIG"] != own or os.environ.get("POLICIES") != "none":
        pytest.skip("needs the cluster of `make e2e-gitops`, on which nothing else enforces policies")
    if shutil.which("ipset") is None:
        pytest.skip("ipset is not installed")
    folder = tmp_path_factory.mktemp("kube-router")
    command: list[str | Path] = [
        "nsenter", _NETNS, program("kube-router"), f"--kubeconfig={own}", "--hostname-override=node1",
        _SERVICES, *_ALONE, "--health-port=0", "--metrics-port=0", "--iptables-sync-period=5s",
    ]  # fmt: skip
    with running("kube-router", command, folder):
        yield


@pytest.fixture(scope="module")
def release(kube_router: None, namespace: Namespace, images: Path) -> Iterator[Release]:
    with namespace("policies") as release:
        release.install("-f", str(images), "--set=simulator.enabled=true,simulator.signedIn=paper")
        yield release


@pytest.fixture(scope="module")
def stranger(release: Release) -> str:
    """A pod of the same namespace that is none of the release's."""
    pod: dict[str, Any] = release.pods("mcp")[0]
    (container,) = (one for one in pod["spec"]["containers"] if one["name"] == "mcp")
    words = ("run", "stranger", f"--image={container['image']}", f"--image-pull-policy={container['imagePullPolicy']}")
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    limits = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["python3", "-c", "import time; time.sleep(3600)"]
    made = {"name": "stranger", "image": container["image"], "imagePullPolicy": container["imagePullPolicy"]}
    spec = {"securityContext": context, "containers": [{**made, "command": command, "securityContext": limits}]}
    release.kubectl(*words, f"--overrides={json.dumps({'apiVersion': 'v1', 'spec': spec})}")
    until("the pod", lambda: ready(release.get("pod", "stranger")))
    return "stranger"


def test_the_mcp_server_reaches_the_guard_and_the_operator_its_control_port(release: Release) -> None:
    address = release.pods("gateway")[0]["status"]["podIP"]
    mcp = release.pods("mcp")[0]["metadata"]["name"]
    until("the guard", lambda: release.from_pod(mcp, "mcp", address, 8080, "/v1/api/portfolio/accounts") == "401")
    until("a session that the operator sees", lambda: _phase(release) == "Authenticated", 120)


def _phase(release: Release) -> str:
    return str(release.get("ibs", release.name).get("status", {}).get("phase"))


@pytest.mark.parametrize("port", [5000, 5443, 8081])
def test_the_mcp_server_reaches_nothing_else_of_the_gateway_pod(release: Release, port: int) -> None:
    address = release.pods("gateway")[0]["status"]["podIP"]
    assert release.from_pod(release.pods("mcp")[0]["metadata"]["name"], "mcp", address, port) in REFUSED


def test_the_mcp_server_does_not_reach_the_api_server(release: Release) -> None:
    api = run("kubectl", "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    mcp = release.pods("mcp")[0]["metadata"]["name"]
    until("a closed way", lambda: release.from_pod(mcp, "mcp", api, 443) in REFUSED, 30)


@pytest.mark.parametrize("port", [8080, 8081])
def test_a_strange_pod_reaches_neither_guard_nor_control_port(release: Release, stranger: str, port: int) -> None:
    address = release.pods("gateway")[0]["status"]["podIP"]
    until("a closed way", lambda: release.from_pod(stranger, stranger, address, port) in REFUSED, 30)
