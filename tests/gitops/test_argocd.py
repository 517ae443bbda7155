"""The chart by Argo CD itself, on the cluster under test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.kube import CHART, Release, run, until
from gitops.conftest import Namespace, Values, apply, is_emptied, phase, waits_for_its_owner
from gitops.controllers import argo_cd, cluster_address, gone


@pytest.fixture(scope="module")
def release(
    namespace: Namespace, repository: str, values: Values, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    with argo_cd(tmp_path_factory.mktemp("argocd")), namespace("argocd") as release:
        apply(_application(release, repository, values))
        yield release
        run("kubectl", "-n", "argocd", "delete", "application", release.name, "--ignore-not-found", "--wait=false")


def _application(release: Release, repository: str, values: Values) -> dict[str, Any]:
    """The example of the chart, of this repository and for this cluster."""
    example: dict[str, Any] = yaml.safe_load((CHART / "examples/argocd-application.yaml").read_text("utf-8"))
    example["metadata"] |= {"name": release.name, "finalizers": ["resources-finalizer.argocd.argoproj.io"]}
    helm = {**example["spec"]["source"]["helm"], "valuesObject": values}
    example["spec"]["source"] = {"repoURL": repository, "chart": "ib-mcp", "targetRevision": "*", "helm": helm}
    example["spec"]["destination"] = {"server": cluster_address(), "namespace": release.namespace}
    return example


def _status(release: Release) -> dict[str, Any]:
    found = json.loads(run("kubectl", "-n", "argocd", "get", "application", release.name, "-o", "json"))
    status: dict[str, Any] = found.get("status", {})
    return status


def _synced(release: Release) -> bool:
    status = _status(release)
    done = status.get("operationState", {}).get("phase") == "Succeeded"
    return done and status.get("sync", {}).get("status") == "Synced"


def test_a_sync_ends_before_anybody_signed_in_and_nothing_is_called_broken(release: Release) -> None:
    until("a finished sync", lambda: _synced(release), 240)
    waits_for_its_owner(release)
    assert _status(release)["health"]["status"] in ("Healthy", "Progressing")
    kinds = {one["kind"]: one["status"] for one in _status(release)["resources"]}
    assert kinds["BrokerageSession"] == "Synced"


def test_a_change_of_the_policy_alone_goes_in_while_the_login_is_awaited(
    release: Release, repository: str, values: Values
) -> None:
    before = release.pods("gateway")[0]["metadata"]["uid"]
    apply(_application(release, repository, {**values, "operator": {**values["operator"], "paused": True}}))
    until("the pause", lambda: phase(release) == "Paused", 90)
    assert release.pods("gateway")[0]["metadata"]["uid"] == before


def test_what_somebody_changes_by_hand_is_put_right(release: Release) -> None:
    release.kubectl("patch", "ibs", release.name, "--type=merge", "-p", '{"spec":{"paused":false}}')
    until("the pause again", lambda: release.get("ibs", release.name)["spec"].get("paused") is True, 90)


def test_the_former_commit_takes_the_change_back(release: Release, repository: str, values: Values) -> None:
    apply(_application(release, repository, values))
    until("the end of the pause", lambda: phase(release) == "AwaitingLogin", 90)
    until("a finished sync", lambda: _synced(release))


def test_nothing_is_left_when_it_goes(release: Release) -> None:
    run("kubectl", "-n", "argocd", "delete", "application", release.name, "--timeout=120s")
    gone("the application", "-n", "argocd", "application", release.name)
    is_emptied(release)
