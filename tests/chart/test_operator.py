"""What an operator changes in an installation."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, VALUES, Object, Render, one
from support import programs

ON = "--set=simulator.enabled=true"
EVERYTHING = CHART / "ci/operator-values.yaml"


def _gateway(objects: list[Object]) -> dict[str, Any]:
    found: dict[str, Any] = one(objects, "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    return found


def _reopens(objects: list[Object]) -> str:
    keepalive = next(c for c in _gateway(objects)["initContainers"] if c["name"] == "keepalive")
    return next(str(v["value"]) for v in keepalive["env"] if v["name"] == "IB_KEEPALIVE_AUTO_REOPEN")


@pytest.mark.parametrize(
    "option", [ON, "--set=operator.enabled=false,operator.supervisedFrom=elsewhere/its-operator,simulator.enabled=true"]
)
def test_a_supervised_gateway_has_the_gate_and_lets_the_operator_ask_first(render: Render, option: str) -> None:
    objects = render(option)
    assert _gateway(objects)["readinessGates"] == [{"conditionType": "ib-mcp.dev/session-authenticated"}]
    keepalive = next(c for c in _gateway(objects)["initContainers"] if c["name"] == "keepalive")
    variables = {one["name"]: one for one in keepalive["env"]}
    assert variables["IB_KEEPALIVE_REOPEN_AFTER_S"]["value"] == "30"
    assert variables["IB_KEEPALIVE_INSTANCE"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert _reopens(objects) == "true"
    assert one(objects, "BrokerageSession", "demo")["spec"]["gatewayRef"] == {"name": "demo-ib-mcp-gateway"}


def test_a_gateway_without_an_operator_has_no_gate_and_opens_by_itself(render: Render) -> None:
    objects = render("--set=operator.enabled=false,simulator.enabled=true")
    assert "readinessGates" not in _gateway(objects)
    assert _reopens(objects) == "true"
    kinds = {item["kind"] for item in objects}
    assert not kinds & {"BrokerageSession", "Role", "ClusterRole"}


def test_the_control_port_admits_the_operator(render: Render) -> None:
    policy = one(render(ON), "NetworkPolicy", "-gateway")
    control = next(rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": 8081}])
    components = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in control["from"]]
    assert "operator" in components


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_object_is_there_once_and_none_but_the_test_is_a_hook(render: Render, values: Path) -> None:
    """Argo CD, Flux and kustomize know an object by this key; a hook is outside of what they compare."""
    objects = render("--values", values)
    keys = [
        (item["apiVersion"].rpartition("/")[0], item["kind"], meta.get("namespace"), meta["name"])
        for item in objects
        for meta in (item["metadata"],)
    ]
    assert sorted(map(str, set(keys))) == sorted(map(str, keys))
    hooks = [item["metadata"]["annotations"] for item in objects if "helm.sh/hook" in str(item["metadata"])]
    assert [marks.get("helm.sh/hook") for marks in hooks] == ["test"]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_kustomize_takes_what_helm_renders(render: Render, values: Path, tmp_path: Path) -> None:
    objects = render("--values", values)
    (tmp_path / "rendered.yaml").write_text(yaml.safe_dump_all(objects))
    (tmp_path / "kustomization.yaml").write_text("resources: [rendered.yaml]\nnamePrefix: my-\n")
    try:
        kustomize = programs.go_program("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([kustomize, "build", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len([found for found in yaml.safe_load_all(done.stdout) if found]) == len(objects)


def test_the_definition_outlives_every_release_whoever_installs_it(render: Render) -> None:
    annotations = one(render(ON), "CustomResourceDefinition", "")["metadata"]["annotations"]
    assert annotations == {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "helm.sh/resource-policy": "keep",
    }


def test_an_installation_with_the_rights_of_a_namespace_makes_nothing_of_the_clusters(render: Render) -> None:
    objects = render(ON, "--set=brokerageSession.enabled=false")
    kinds = {item["kind"] for item in objects}
    assert not kinds & {"BrokerageSession", "ClusterRole"}
    with_session = {item["kind"] for item in render(ON, "--set=brokerageSession.aggregateRoles=false")}
    assert with_session - kinds == {"BrokerageSession"}


def test_a_gateway_and_its_session_name_the_one_operator_that_supervises_them(render: Render) -> None:
    def named(objects: list[Object]) -> set[str]:
        template = one(objects, "StatefulSet", "-gateway")["spec"]["template"]["metadata"]
        session = one(objects, "BrokerageSession", "")["metadata"]
        return {where["labels"]["ib-mcp.dev/operator"] for where in (template, session)}

    first, second = render(ON), render(ON, release="other")
    assert named(first) == {"home.demo-ib-mcp-operator"}
    assert named(second) == {"home.other-ib-mcp-operator"}
    operator = one(first, "Deployment", "-operator")["spec"]["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable["value"] for variable in operator["env"]}
    assert {variables["IB_OPERATOR_NAME"]} == named(first)
    assert variables["IB_OPERATOR_OWN_GATEWAY"] == "home/demo-ib-mcp-gateway"
    away = "--set=operator.enabled=false,simulator.enabled=true,operator.supervisedFrom=home/demo-ib-mcp-operator"
    assert named(render(away, release="away")) == named(first)
    long = render(ON, f"--set=namespaceOverride={'n' * 63}", release="r" * 53)
    (label,) = named(long)
    assert len(label) == 63


def test_no_condition_is_called_ready(render: Render) -> None:
    """Helm 4 and Flux would wait for a person."""
    version = one(render(ON), "CustomResourceDefinition", "")["spec"]["versions"][0]
    columns = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    assert not [path for path in columns if '"Ready"' in path]


def test_the_operator_is_one_and_mounts_its_secrets_by_name(render: Render) -> None:
    deployment = one(render("--values", EVERYTHING), "Deployment", "-operator")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    pod = deployment["spec"]["template"]["spec"]
    mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {f"/etc/ib-mcp/channels/{name}" for name in ("my-ntfy", "my-webhook", "live-webhook")}
    assert all(volume["secret"]["optional"] for volume in pod["volumes"])
    assert "secretKeyRef" not in json.dumps(pod)


def test_a_scope_has_a_role_in_each_namespace_and_none_in_the_cluster(render: Render) -> None:
    objects = render("--values", EVERYTHING)
    roles = [item["metadata"]["namespace"] for item in objects if item["kind"] == "Role"]
    assert sorted(roles) == ["home", "live"]
    bound = [item for item in objects if item["kind"] in ("ClusterRoleBinding", "ClusterRole")]
    assert {item["kind"] for item in bound} == {"ClusterRole"}
    assert all(any("aggregate-to" in label for label in item["metadata"]["labels"]) for item in bound)


def test_releases_with_long_names_do_not_share_objects_of_the_cluster(render: Render) -> None:
    def names(namespace: str) -> set[str]:
        objects = render("--values", EVERYTHING, "--set", f"namespaceOverride={namespace}", release="r" * 53)
        kinds = ("ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        return {item["metadata"]["name"] for item in objects if item["kind"] in kinds}

    first, second = names("n" * 62 + "1"), names("n" * 62 + "2")
    assert len(first) == 3
    assert not first & second
    assert max(map(len, first | second)) <= 63
