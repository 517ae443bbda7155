"""The rendered chart before judges of others: kubeconform, kube-score and cyclonus."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from chart import schemas
from chart.conftest import VALUES, Object, Render, one
from support import programs

# The floor of Chart.yaml and the version of hack/cluster.
VERSIONS = ("1.30.14", "1.37.1")
# Kinds of other projects: their schemas come with their controllers.
CUSTOM = (
    ("sigs.k8s.io/gateway-api", "v1.4.1", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"),
    ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml"),
)
WAIVERS = yaml.safe_load(Path(__file__).with_name("waivers.yaml").read_text())


def program(package: str, version: str) -> Path:
    try:
        return programs.go_program(package, version)
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module", params=VERSIONS)
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, render: Render) -> Path:
    """The schemas of one Kubernetes version, of the kinds of other projects and of our own."""
    folder = tmp_path_factory.mktemp("schemas")
    try:
        schemas.write(programs.kubernetes_swagger(request.param), folder)
        for module, version, path in CUSTOM:
            schemas.write_custom(yaml.safe_load((programs.go_module(module, version) / path).read_text()), folder)
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    schemas.write_custom(one(render(), "CustomResourceDefinition", ""), folder)
    return folder


def conform(objects: list[Object], known: Path) -> subprocess.CompletedProcess[str]:
    kubeconform = program("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0")
    options = ("-strict", "-schema-location", f"{known}/{schemas.LOCATION}")
    text = yaml.safe_dump_all(objects)
    return subprocess.run([kubeconform, *options], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_kubernetes_knows_every_field(render: Render, values: Path, known: Path) -> None:
    done = conform(render("--values", values), known)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["Deployment", "HTTPRoute", "BrokerageSession"])
def test_an_unknown_field_would_be_found(render: Render, known: Path, kind: str) -> None:
    route = "mcp.httpRoute.enabled=true,mcp.httpRoute.hostnames[0]=a.example,mcp.httpRoute.parentRefs[0].name=a"
    objects = render("--set", route)
    next(item for item in objects if item["kind"] == kind)["spec"]["replica"] = 1
    assert "replica" in conform(objects, known).stdout


def test_kube_score_finds_nothing_that_has_no_reasoned_waiver(render: Render) -> None:
    kube_score = program("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0")
    done = subprocess.run(
        [kube_score, "score", "--output-format", "json", "-"],
        input=yaml.safe_dump_all(render()),
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        f"{scored['object_meta']['name'].removeprefix('demo-ib-mcp-')}: {check['check']['id']}"
        for scored in json.loads(done.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] < 10
    }
    waived = {entry["finding"] for entry in WAIVERS}
    assert found - waived == set()
    assert waived - found == set(), "waivers of nothing"
    assert all(len(entry["reason"]) > 20 for entry in WAIVERS)


def traffic(source: dict[str, str], target: dict[str, str], port: int, protocol: str = "TCP") -> Object:
    def end(labels: dict[str, str]) -> Object:
        home = labels.pop("namespace", "home")
        pod = {"PodLabels": labels, "NamespaceLabels": {"kubernetes.io/metadata.name": home}, "Namespace": home}
        return {"Internal": pod, "IP": "10.0.0.1"}

    return {"Source": end(source), "Destination": end(target), "ResolvedPort": port, "Protocol": protocol}


def part(component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "ib-mcp",
        "app.kubernetes.io/instance": "demo",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "ib-mcp",
    }


GATEWAY, MCP, TEST, OPERATOR, STRANGER = (
    part("gateway"),
    part("mcp"),
    part("test"),
    part("operator"),
    {"app": "stranger"},
)
TABLE = [
    (MCP, GATEWAY, 8080, True),
    (STRANGER, GATEWAY, 8080, False),
    (MCP, GATEWAY, 8081, False),
    (TEST, GATEWAY, 8081, True),
    (STRANGER, GATEWAY, 8081, False),
    (STRANGER, GATEWAY, 5000, False),
    (MCP, GATEWAY, 5000, False),
    (STRANGER, GATEWAY, 5443, False),
    (STRANGER, MCP, 8080, True),
    (STRANGER, MCP, 9999, False),
    (MCP, STRANGER, 443, False),
    (MCP, STRANGER, 53, True),
    (GATEWAY, STRANGER, 443, True),
    (GATEWAY, STRANGER, 80, False),
    (OPERATOR, GATEWAY, 8081, True),
    (OPERATOR, GATEWAY, 8080, False),
    (OPERATOR, STRANGER, 6443, True),
    (OPERATOR, STRANGER, 80, False),
    (STRANGER, OPERATOR, 8080, False),
]


Row = tuple[dict[str, str], dict[str, str], int, bool]


def allowed(objects: list[Object], table: list[Row], home: Path) -> list[bool]:
    """What cyclonus says of each row."""
    cyclonus = program("github.com/mattfenwick/cyclonus/cmd/cyclonus", "v0.5.6")
    (folder := home / "policies").mkdir()
    for policy in (item for item in objects if item["kind"] == "NetworkPolicy"):
        # One file each: of a file with several cyclonus reads the first.
        _spell_out(policy["spec"])
        (folder / f"{policy['metadata']['name']}.yaml").write_text(yaml.safe_dump(policy))
    asked = [traffic(dict(source), dict(target), port) for source, target, port, _ in table]
    (home / "traffic.json").write_text(json.dumps(asked))
    files = ("--policy-path", folder, "--traffic-path", home / "traffic.json")
    command = [cyclonus, "analyze", "--mode", "query-traffic", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = re.findall(r"IS ALLOWED\? \|\s+(TRUE|FALSE)", done.stdout)
    return [answer == "TRUE" for answer in answers]


def test_the_policies_allow_what_the_parts_need_and_no_more(render: Render, tmp_path: Path) -> None:
    assert allowed(render(), TABLE, tmp_path) == [expected for *_, expected in TABLE]


TRAEFIK = {"namespace": "kube-system", "app": "traefik"}
PROMETHEUS = {"namespace": "monitoring", "app": "prometheus"}
OTHER_GATEWAY = {**part("gateway"), "namespace": "live", "app.kubernetes.io/part-of": "ib-mcp"}
OTHER_MCP = {**part("mcp"), "namespace": "live"}
NARROWED = """
networkPolicy:
  mcpFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  guardFrom:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: live}}
      podSelector: {matchLabels: {app.kubernetes.io/component: mcp}}
gateway: {backend: "https://api.example.com:8443"}
mcp:
  extraGateways: [{name: live, url: "http://live:8080", existingSecret: live, existingSecretKey: token}]
"""
NARROWED_TABLE = [
    (TRAEFIK, MCP, 8080, True),
    (STRANGER, MCP, 8080, False),
    (TEST, MCP, 8080, True),
    (PROMETHEUS, MCP, 8080, True),
    (PROMETHEUS, GATEWAY, 8081, True),
    (PROMETHEUS, GATEWAY, 8080, False),
    (MCP, OTHER_GATEWAY, 8080, True),
    (MCP, OTHER_GATEWAY, 8081, False),
    (OTHER_MCP, GATEWAY, 8080, True),
    (OTHER_GATEWAY, GATEWAY, 8080, False),
    (GATEWAY, STRANGER, 8443, True),
    (GATEWAY, STRANGER, 443, False),
]


def test_narrowed_policies_still_admit_tests_scrapers_and_other_releases(render: Render, tmp_path: Path) -> None:
    (values := tmp_path / "values.yaml").write_text(NARROWED)
    answers = allowed(render("--values", values), NARROWED_TABLE, tmp_path)
    assert answers == [expected for *_, expected in NARROWED_TABLE]


def _spell_out(spec: Object) -> None:
    """Write port numbers for names and the default protocol, which cyclonus cannot know."""
    numbers = {"http": 8080}
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        for port in rule.get("ports", []):
            port["port"] = numbers.get(port["port"], port["port"])
            port.setdefault("protocol", "TCP")
