"""Two releases in one namespace, each with its operator: neither touches what is the other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Install
from e2e.kube import Release, ready, until

_OPTIONS = ("--set=simulator.enabled=true,simulator.signedIn=paper,mcp.replicas=0",)


@pytest.fixture(scope="module")
def releases(install: Install, images: Path) -> Iterator[tuple[Release, Release]]:
    with install("first", *_OPTIONS) as first:
        second = Release("second", first.namespace)
        second.install("-f", str(images), *_OPTIONS)
        yield first, second


def _phase(release: Release) -> str:
    return str(release.get("ibs", release.name).get("status", {}).get("phase"))


def _pod(release: Release) -> dict[str, Any]:
    return release.get("pod", release.gateway_pod)


def _supervised(release: Release) -> float:
    """How many gateways the release's operator has."""
    label = f"app.kubernetes.io/component=operator,app.kubernetes.io/instance={release.name}"
    (pod,) = release.get("pods", "-l", label)["items"]
    path = f"/api/v1/namespaces/{release.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
    lines = release.kubectl("get", "--raw", path).splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("ibmcp_operator_gateways{"))


def _gate(release: Release) -> dict[str, Any]:
    conditions = _pod(release)["status"].get("conditions", [])
    return next((one for one in conditions if one["type"] == "ib-mcp.dev/session-authenticated"), {})


def test_each_operator_has_its_own_gateway_and_no_other(releases: tuple[Release, Release]) -> None:
    for release in releases:
        until("an open session", lambda one=release: _phase(one) == "Authenticated", 90)  # type: ignore[misc]
        until("a ready pod", lambda one=release: ready(_pod(one)), 60)  # type: ignore[misc]
        assert _supervised(release) == 1


def test_an_upgrade_of_the_policy_alone_reaches_its_keeper_and_no_pod_is_made_anew(
    releases: tuple[Release, Release],
) -> None:
    first, second = releases
    before = [_pod(release)["metadata"]["uid"] for release in releases]
    second.upgrade("--set=operator.paused=true,operator.reauth.maxAttempts=3")
    until("the pause", lambda: _phase(second) == "Paused", 60)
    until("the keeper's word", lambda: second.status()["policy"]["paused"], 60)
    assert second.status()["policy"]["max_attempts"] == 3
    assert not first.status()["policy"]["paused"]
    assert _phase(first) == "Authenticated"
    assert [_pod(release)["metadata"]["uid"] for release in releases] == before


def test_a_paused_gateway_stays_closed_while_its_neighbour_is_opened_again(releases: tuple[Release, Release]) -> None:
    first, second = releases
    opened = _gate(first)["lastTransitionTime"]
    second.simulator("drop-brokerage")
    until("the loss", lambda: _gate(second).get("status") == "False", 90)
    assert _gate(first)["lastTransitionTime"] == opened
    first.simulator("drop-brokerage")
    until("the loss", lambda: _phase(first) == "Reauthenticating", 90)
    until("the session", lambda: _phase(first) == "Authenticated", 120)
    assert second.status()["state"] == "reopening"
    second.upgrade("--set=operator.paused=false")
    until("the session", lambda: _phase(second) == "Authenticated", 120)


def test_a_rollback_takes_the_owners_word_back(releases: tuple[Release, Release]) -> None:
    _, second = releases
    second.helm("rollback", second.name, "2")
    until("the pause", lambda: _phase(second) == "Paused", 60)
    second.helm("rollback", second.name, "3")
    until("the session", lambda: _phase(second) == "Authenticated", 60)


def test_a_second_session_for_a_gateway_says_that_it_is_not_used(releases: tuple[Release, Release]) -> None:
    first, _ = releases
    extra = {
        "apiVersion": "ib-mcp.dev/v1alpha1",
        "kind": "BrokerageSession",
        "metadata": {"name": "zz-extra", "namespace": first.namespace},
        "spec": {"gatewayRef": {"name": f"{first.prefix}-gateway"}, "paused": True},
    }
    first.kubectl("apply", "-f", "-", text=json.dumps(extra))
    until("its word", lambda: first.get("ibs", "zz-extra").get("status", {}).get("phase") == "Ignored", 30)
    assert _phase(first) == "Authenticated"


def test_one_release_goes_and_the_other_stays(releases: tuple[Release, Release]) -> None:
    first, second = releases
    first.helm("uninstall", first.name, "--wait", "--timeout", "90s")
    sessions = [one["metadata"]["name"] for one in second.get("ibs")["items"]]
    assert sessions == ["second", "zz-extra"]
    assert _phase(second) == "Authenticated"
