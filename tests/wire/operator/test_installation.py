"""Helm installs, changes and removes the operator's objects on a real API server, where no pod ever runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from support import api_server
from support.api_server import ApiServer

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/brokeragesessions.ib-mcp.dev"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
TENANT = "system:serviceaccount:tenants:tenant"
_SIMULATED = "--set=simulator.enabled=true,operator.enabled=true,global.imageRegistry=registry.test"


@dataclass(frozen=True)
class Cluster:
    """An API server, and Helm as its admin or as another (``who``) of its accounts."""

    api: ApiServer

    def helm(self, *words: str, namespace: str = "ns1", who: str | None = None) -> subprocess.CompletedProcess[str]:
        token = self.api.admin.headers["Authorization"] if who is None else f"Bearer token-of-{who}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [
                {"name": "it", "cluster": {"server": self.api.url, "certificate-authority": str(self.api.ca_file)}}
            ],
            "users": [{"name": "it", "user": {"token": token.removeprefix("Bearer ")}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": namespace}}],
        }
        file = self.api.folder / f"{who}.kubeconfig"
        file.write_text(yaml.safe_dump(config))
        command = [str(api_server.programs() / "helm"), "--kubeconfig", str(file), "-n", namespace, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def do(self, *words: str, namespace: str = "ns1") -> str:
        done = self.helm(*words, namespace=namespace)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def session(self, name: str, namespace: str = "ns1") -> dict[str, Any] | None:
        answer = self.api.admin.get(f"/apis/ib-mcp.dev/v1alpha1/namespaces/{namespace}/brokeragesessions/{name}")
        found: dict[str, Any] | None = answer.json() if answer.is_success else None
        return found

    def definition(self) -> dict[str, Any]:
        return self.api.get(DEFINITION)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with api_server.running(tmp_path_factory.mktemp("api"), {"tenant": TENANT}) as (api, _):
        for name in ("ns1", "ns2", "ns3", "tenants"):
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Cluster(api)


def _everything_in(namespace: str, user: str) -> list[dict[str, Any]]:
    rbac = "rbac.authorization.k8s.io"
    meta = {"name": "everything", "namespace": namespace}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "everything"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        },
    ]


def test_who_may_make_no_definition_installs_without_it(cluster: Cluster) -> None:
    cluster.api.apply(*_everything_in("tenants", TENANT))
    install = ("install", "mine", str(api_server.CHART), _SIMULATED)
    refused = cluster.helm(*install, namespace="tenants", who="tenant")
    assert refused.returncode != 0
    assert "customresourcedefinitions" in refused.stderr
    # Neither a definition nor anything else of the cluster, and nothing that needs one.
    own = "--set=operator.admissionPolicy.enabled=false"
    alone = ("--skip-crds", own, "--set=brokerageSession.enabled=false")
    done = cluster.helm(*install, *alone, namespace="tenants", who="tenant")
    assert done.returncode == 0, done.stderr
    assert "ibs/" not in done.stdout
    assert cluster.session("mine", "tenants") is None
    # A cluster administrator brings the definition later.
    cluster.do("install", "first", str(api_server.CHART), _SIMULATED)
    upgrade = ("upgrade", "mine", str(api_server.CHART), _SIMULATED)
    done = cluster.helm(*upgrade, own, "--set=brokerageSession.aggregateRoles=false", namespace="tenants", who="tenant")
    assert done.returncode == 0, done.stderr
    assert cluster.session("mine", "tenants") is not None
    cluster.do("uninstall", "mine", namespace="tenants")
    assert cluster.session("mine", "tenants") is None
    cluster.do("uninstall", "first")


def test_the_session_object_follows_upgrades_and_rollbacks_and_goes_with_its_release(cluster: Cluster) -> None:
    chart = str(api_server.CHART)
    cluster.do("install", "demo", chart, _SIMULATED)
    made = cluster.session("demo")
    assert made is not None
    cluster.do("upgrade", "demo", chart, _SIMULATED, "--set=operator.reauth.maxAttempts=2")
    upgraded = cluster.session("demo")
    assert upgraded is not None
    assert upgraded["spec"]["reauth"]["maxAttempts"] == 2
    cluster.do("rollback", "demo", "1")
    back = cluster.session("demo")
    assert back is not None
    assert "maxAttempts" not in back["spec"]["reauth"]
    assert made["metadata"]["uid"] == upgraded["metadata"]["uid"] == back["metadata"]["uid"]
    assert "kind: BrokerageSession" in cluster.do("get", "manifest", "demo")
    cluster.do("uninstall", "demo")
    assert cluster.session("demo") is None
    assert cluster.definition()["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    ours = {"labelSelector": "app.kubernetes.io/part-of=ib-mcp"}
    for path in (f"{_RBAC}/clusterroles", f"{_RBAC}/namespaces/ns1/roles", "/apis/apps/v1/namespaces/ns1/deployments"):
        assert cluster.api.admin.get(path, params=ours).json()["items"] == [], path


def test_an_operator_that_is_switched_off_takes_its_session_object_with_it(cluster: Cluster) -> None:
    chart = str(api_server.CHART)
    cluster.do("install", "demo", chart, _SIMULATED)
    assert cluster.session("demo") is not None
    cluster.do("upgrade", "demo", chart, _SIMULATED, "--set=operator.enabled=false")
    assert cluster.session("demo") is None
    cluster.do("uninstall", "demo")


def test_releases_share_one_definition_that_outlives_them(cluster: Cluster) -> None:
    chart = str(api_server.CHART)
    cluster.do("install", "one", chart, _SIMULATED)
    cluster.do("install", "two", chart, _SIMULATED, namespace="ns2")
    cluster.do("uninstall", "one")
    assert cluster.session("two", "ns2") is not None
    cluster.do("upgrade", "two", chart, _SIMULATED, "--set=operator.paused=true", namespace="ns2")
    session = cluster.session("two", "ns2")
    assert session is not None
    assert session["spec"]["paused"] is True
    cluster.do("uninstall", "two", namespace="ns2")
    assert cluster.definition()["metadata"]["name"] == "brokeragesessions.ib-mcp.dev"


def test_a_first_installation_makes_definition_and_session_in_one_go(cluster: Cluster) -> None:
    cluster.api.admin.delete(DEFINITION)
    _until_gone(cluster)
    cluster.do("install", "third", str(api_server.CHART), _SIMULATED, namespace="ns3")
    assert cluster.session("third", "ns3") is not None
    cluster.do("uninstall", "third", namespace="ns3")


def test_an_upgrade_that_an_old_definition_cannot_hold_is_refused_and_one_command_mends_it(cluster: Cluster) -> None:
    """Helm applies what lies in crds/ with an installation, never with an upgrade."""
    chart = str(api_server.CHART)
    definition = yaml.safe_load((api_server.CHART / "crds/brokeragesession.yaml").read_text())
    cluster.do("install", "late", chart, _SIMULATED, namespace="ns3")
    old = json.loads(json.dumps(definition))
    del old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["quietHours"]
    cluster.api.apply(old, manager="helm")
    quiet = json.dumps({"start": "01:00", "end": "02:00", "timeZone": "UTC"})
    upgrade = ("upgrade", "late", chart, _SIMULATED, f"--set-json=operator.quietHours={quiet}")
    refused = cluster.helm(*upgrade, namespace="ns3")
    assert refused.returncode != 0
    assert ".spec.quietHours: field not declared in schema" in refused.stderr
    cluster.api.apply(definition, manager="helm")
    cluster.do(*upgrade, namespace="ns3")
    session = cluster.session("late", "ns3")
    assert session is not None
    assert session["spec"]["quietHours"]["end"] == "02:00"
    cluster.do("uninstall", "late", namespace="ns3")


def test_a_deleted_definition_is_applied_again_before_the_release_is_upgraded(cluster: Cluster) -> None:
    chart = str(api_server.CHART)
    definition = yaml.safe_load((api_server.CHART / "crds/brokeragesession.yaml").read_text())
    cluster.do("install", "left", chart, _SIMULATED, namespace="ns3")
    cluster.api.admin.delete(DEFINITION)
    _until_gone(cluster)
    upgraded = cluster.helm("upgrade", "left", chart, _SIMULATED, namespace="ns3")
    assert 'no matches for kind "BrokerageSession"' in upgraded.stderr
    cluster.api.apply(definition, manager="helm")
    _until_served(cluster)
    cluster.do("upgrade", "left", chart, _SIMULATED, namespace="ns3")
    assert cluster.session("left", "ns3") is not None
    cluster.do("uninstall", "left", namespace="ns3")


def _until_served(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    while not cluster.api.admin.get("/apis/ib-mcp.dev/v1alpha1/namespaces/ns3/brokeragesessions").is_success:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _until_gone(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    while cluster.api.admin.get(DEFINITION).is_success:
        assert time.monotonic() < deadline
        time.sleep(0.1)
