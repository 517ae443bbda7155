"""What people install with: each set of values gives objects that Kubernetes takes, once each, in restricted pods."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, Object, Render, containers, one, pods
from chart.test_kubernetes import conform, known  # noqa: F401 - the fixture of the schemas

TABLE: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("installations.yaml").read_text())
_IDS = ("runAsUser", "runAsGroup", "fsGroup")


@pytest.fixture(scope="session")
def installed(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Object]]:
    """``installed(name)``: the objects of a row."""

    @cache
    def rendered(name: str) -> list[Object]:
        row = next(row for row in TABLE if row["name"] == name)
        (values := tmp_path_factory.mktemp("values") / "values.yaml").write_text(yaml.safe_dump(row["values"]))
        return render("--values", values, release=row.get("release", "demo"))

    return rendered


Installed = Callable[[str], list[Object]]


def test_the_table_holds_sixty_installations() -> None:
    assert len({row["name"] for row in TABLE}) == len(TABLE) >= 60


@pytest.mark.parametrize("known", ["1.30.14", "1.37.1"], indirect=True, ids=lambda version: version)
def test_kubernetes_takes_every_installation(installed: Installed, known: Path) -> None:  # noqa: F811
    every = [item for row in TABLE for item in installed(row["name"])]
    objects = [item for item in every if item["kind"] != "CustomResourceDefinition"]
    done = conform(objects, known)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
def test_an_installation_holds_each_object_once_in_restricted_pods(installed: Installed, row: dict[str, Any]) -> None:
    objects = installed(row["name"])
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(set(keys)) == len(keys)
    assert all(len(name) <= 63 and name.strip("-") == name for _, _, name in keys)
    labels = [value for item in objects for value in (item["metadata"].get("labels") or {}).values()]
    assert all(isinstance(value, str) and len(value) <= 63 for value in labels)
    for name, spec in pods(objects):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(spec):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert own["capabilities"] == {"drop": ["ALL"]}, (name, container["name"])
            variables = [variable["name"] for variable in container.get("env", [])]
            assert len(set(variables)) == len(variables), (name, container["name"])
            assert all(isinstance(variable.get("value", ""), str) for variable in container.get("env", []))


def test_a_variable_of_the_owners_takes_the_place_of_the_charts(installed: Installed) -> None:
    objects = installed("sidecars-and-more-variables")
    keepalive = next(c for _, spec in pods(objects) for c in containers(spec) if c["name"] == "keepalive")
    values = [variable["value"] for variable in keepalive["env"] if variable["name"] == "IB_KEEPALIVE_AUTO_REOPEN"]
    assert values == ["false"]
    mcp = one(objects, "Deployment", "-mcp")["spec"]["template"]
    assert mcp["metadata"]["labels"]["team"] == "other"
    assert [container["name"] for container in mcp["spec"]["containers"]] == ["mcp", "more"]


def test_openshift_chooses_the_users_of_its_namespace(installed: Installed) -> None:
    for name, spec in pods(installed("openshift")):
        assert not {*_IDS} & spec["securityContext"].keys(), name
    for name, spec in pods(installed("defaults")):
        assert {spec["securityContext"][key] for key in _IDS} == {65532}, name


def test_what_has_no_value_of_its_own_is_laid_over_the_charts(installed: Installed) -> None:
    mcp = one(installed("slow-disks"), "Deployment", "-mcp")["spec"]
    assert mcp["revisionHistoryLimit"] == 2
    probe = mcp["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe == {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 600}
    gateway = one(installed("slow-disks"), "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    keepalive = next(container for container in containers(gateway) if container["name"] == "keepalive")
    assert keepalive["startupProbe"]["failureThreshold"] == 600


def test_every_service_follows_the_clusters_ip_families(installed: Installed) -> None:
    services = [item["spec"] for item in installed("dual-stack") if item["kind"] == "Service"]
    assert [service["ipFamilyPolicy"] for service in services] == ["PreferDualStack"] * 3
    gateway = one(installed("ipv6-only"), "StatefulSet", "-gateway")["spec"]["template"]["spec"]
    assert "-Djava.net.preferIPv4Stack=false" in gateway["containers"][0]["command"]


def test_a_controller_that_brings_the_certificate_gets_a_tls_section_without_a_secret(installed: Installed) -> None:
    ingress = one(installed("tailscale-ingress"), "Ingress", "-mcp")
    assert ingress["spec"]["tls"] == [{"hosts": ["ib"]}]


def test_annotations_and_names_are_templates_where_people_expect_it(installed: Installed) -> None:
    ingress = one(installed("traefik-middleware"), "Ingress", "-mcp")
    assert ingress["metadata"]["annotations"]["traefik.ingress.kubernetes.io/router.middlewares"].startswith("home-")
    objects = installed("external-secrets-with-templates")
    assert '"demo-agents"' in json.dumps(one(objects, "Deployment", "-mcp"))


def test_other_gateways_are_let_out_by_their_port_and_over_https(installed: Installed) -> None:
    policy = one(installed("several-usernames"), "NetworkPolicy", "-mcp")
    near, far = policy["spec"]["egress"][-2:]
    assert near["ports"] == [{"port": 8080}]
    assert near["to"][0]["namespaceSelector"] == {}
    assert far == {"ports": [{"port": 443}]}


def test_a_changed_configuration_of_the_gateway_makes_its_pod_outdated_and_a_new_token_restarts_who_uses_it(
    render: Render,
) -> None:
    def marks(*options: str) -> tuple[dict[str, str], dict[str, str]]:
        objects = render(*options)
        gateway, mcp = (
            one(objects, kind, name) for kind, name in (("StatefulSet", "-gateway"), ("Deployment", "-mcp"))
        )
        return tuple(found["spec"]["template"]["metadata"].get("annotations", {}) for found in (gateway, mcp))  # type: ignore[return-value]

    own = "--set=keepalive.token.existingSecret=guard,mcp.token.existingSecret=agents"
    (before, plain), (after, _) = marks(own), marks(own, "--set=gateway.backend=https://api.example.com")
    assert before["checksum/config"] != after["checksum/config"]
    # What cannot be seen from here cannot be compared.
    assert plain == {}
    gateway, mcp = marks()
    assert gateway["checksum/guard-token"] == mcp["checksum/guard-token"] != mcp["checksum/mcp-token"]
    assert "checksum/mcp-token" not in gateway


def test_without_a_registry_nothing_is_installed_and_the_cure_is_said(
    helm: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for unset in ("global.imageRegistry=", "global.imageRegistry=null", "global=null"):
        done = helm("template", "demo", CHART, "--set", unset)
        assert done.returncode != 0, unset
        assert (
            "set global.imageRegistry to the registry that you pushed them to" in done.stderr or "global" in done.stderr
        )


def test_an_umbrella_chart_holds_two_usernames(
    helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """As aliases of one release, each switched by its condition."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependencies = [
        {
            "name": "ib-mcp",
            "alias": alias,
            "version": version,
            "repository": f"file://{CHART}",
            "condition": f"{alias}.enabled",
        }
        for alias in ("paper", "live")
    ]
    umbrella = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(umbrella))
    values = {
        "global": {"imageRegistry": "registry.test", "more": 1},
        "paper": {"enabled": True},
        "live": {"enabled": True},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    assert helm("dependency", "update", tmp_path).returncode == 0
    done = helm("template", "demo", tmp_path)
    assert done.returncode == 0, done.stderr
    objects = [found for found in yaml.safe_load_all(done.stdout) if found]
    keys = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(set(keys)) == len(keys)
    assert {name for kind, name in keys if kind == "BrokerageSession"} == {"demo-paper", "demo-live"}


@pytest.mark.parametrize(
    ("setting", "cure"),
    [
        ("mcp.podDisruptionBudget.enabled=true", "set mcp.replicas to 2"),
        ("fullnameOverride=4you", "begins with a letter"),
        ("mcp.ingress.host=IB.example.com", "host"),
        ("mcp.ingress.host=a..b", "host"),
        ("operator.scope={Live}", "scope"),
        ("operator.channelSecrets={My_Secret}", "channelSecrets"),
        ("podSecurity.runAsUser=0", "runAsUser"),
        (r"mcp.podLabels.ib-mcp\.dev/operator=mine", "use another label"),
        ("simulator.enabled=true,gateway.ipv6=true", "unset one of them"),
        ("networkPolicy.dnsPorts={}", "dnsPorts"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_before(
    helm: Callable[..., subprocess.CompletedProcess[str]], setting: str, cure: str
) -> None:
    done = helm("template", "demo", CHART, "--set", setting)
    assert done.returncode != 0
    assert cure in done.stderr
