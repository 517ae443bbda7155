"""The chart as a HelmRelease: Flux's source- and helm-controller themselves, on the cluster under test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.kube import CHART, Release, until
from gitops.conftest import Namespace, Values, apply, is_emptied, phase, ready_condition, waits_for_its_owner

pytestmark = pytest.mark.usefixtures("flux_controllers")


@pytest.fixture(scope="module")
def release(flux_controllers: None, namespace: Namespace, repository: str, values: Values) -> Iterator[Release]:
    with namespace("flux") as release:
        apply(
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "HelmRepository",
                "metadata": {"name": "here", "namespace": release.namespace},
                "spec": {"url": repository, "interval": "1h"},
            },
            _helm_release(release, values),
        )
        yield release


def test_an_installation_succeeds_before_anybody_signed_in(release: Release) -> None:
    until("the release", lambda: ready_condition(release, "helmrelease").get("status") == "True", 240)
    waits_for_its_owner(release)


def test_a_change_of_the_policy_alone_leaves_the_gateway_pod(release: Release, values: Values) -> None:
    before = release.pods("gateway")[0]["metadata"]["uid"]
    apply(_helm_release(release, {**values, "operator": {**values["operator"], "paused": True}}))
    until("the pause", lambda: phase(release) == "Paused")
    assert release.pods("gateway")[0]["metadata"]["uid"] == before


def test_values_that_the_chart_refuses_are_told_and_change_nothing(release: Release, values: Values) -> None:
    apply(_helm_release(release, {**values, "operator": {**values["operator"], "pausd": True}}))
    until("a refusal", lambda: ready_condition(release, "helmrelease").get("status") == "False")
    ready = ready_condition(release, "helmrelease")
    assert "pausd" in ready["message"]
    assert phase(release) == "Paused"


def test_the_former_commit_takes_the_change_back(release: Release, values: Values) -> None:
    apply(_helm_release(release, values))
    until("the end of the pause", lambda: phase(release) == "AwaitingLogin")
    until("the release", lambda: ready_condition(release, "helmrelease").get("status") == "True")


def test_nothing_is_left_when_it_goes(release: Release) -> None:
    release.kubectl("delete", "helmrelease", release.name, "--timeout=120s")
    is_emptied(release)


def _helm_release(release: Release, values: Values) -> dict[str, Any]:
    example = list(yaml.safe_load_all((CHART / "examples/flux-helmrelease.yaml").read_text("utf-8")))[1]
    example["metadata"] = {"name": release.name, "namespace": release.namespace}
    spec = {"chart": "ib-mcp", "version": "*", "sourceRef": {"kind": "HelmRepository", "name": "here"}}
    example["spec"] |= {"chart": {"spec": spec}, "values": values, "timeout": "3m"}
    return dict(example)
