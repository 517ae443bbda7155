"""What an operator changes in an installation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chart.conftest import CHART, Object, Render, one

ON = "--set=simulator.enabled=true"
EVERYTHING = CHART / "ci/operator-values.yaml"


def _gateway(objects: list[Object]) -> dict[str, Any]:
    found: dict[str, Any] = one(objects, "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    return found


def _reopens(objects: list[Object]) -> str:
    keepalive = next(c for c in _gateway(objects)["initContainers"] if c["name"] == "keepalive")
    return next(str(v["value"]) for v in keepalive["env"] if v["name"] == "IB_KEEPALIVE_AUTO_REOPEN")


@pytest.mark.parametrize(
    "option", [ON, "--set=operator.enabled=false,operator.supervisedFrom=elsewhere,simulator.enabled=true"]
)
def test_a_supervised_gateway_has_the_gate_and_leaves_opening_to_the_operator(render: Render, option: str) -> None:
    objects = render(option)
    assert _gateway(objects)["readinessGates"] == [{"conditionType": "ib-mcp.dev/session-authenticated"}]
    assert _reopens(objects) == "false"
    assert [item["kind"] for item in objects].count("BrokerageSession") == 2


def test_a_gateway_without_an_operator_has_no_gate_and_opens_by_itself(render: Render) -> None:
    objects = render("--set=operator.enabled=false,simulator.enabled=true")
    assert "readinessGates" not in _gateway(objects)
    assert _reopens(objects) == "true"
    kinds = {item["kind"] for item in objects}
    assert not kinds & {"BrokerageSession", "CustomResourceDefinition", "Role", "ClusterRole"}


def test_the_control_port_admits_the_operator(render: Render) -> None:
    policy = one(render(ON), "NetworkPolicy", "-gateway")
    control = next(rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": 8081}])
    components = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in control["from"]]
    assert "operator" in components


def test_the_session_object_outlives_upgrades_and_goes_with_the_release(render: Render) -> None:
    made, removed = (item for item in render(ON) if item["kind"] == "BrokerageSession")
    assert made["metadata"]["annotations"] == {
        "helm.sh/hook": "post-install,post-upgrade,post-rollback",
        "helm.sh/hook-delete-policy": "hook-failed",
    }
    assert removed["metadata"]["annotations"]["helm.sh/hook"] == "post-delete"
    assert made["metadata"]["name"] == removed["metadata"]["name"] == "demo"


def test_the_definition_stays_with_its_cluster_unless_told_otherwise(render: Render) -> None:
    kept = one(render(ON), "CustomResourceDefinition", "")
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in one(render(ON, "--set=crds.keep=false"), "CustomResourceDefinition", "")["metadata"]
    without = {item["kind"] for item in render(ON, "--set=crds.enabled=false")}
    assert not without & {"CustomResourceDefinition", "BrokerageSession"}


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
