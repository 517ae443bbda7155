"""What the chart accepts and refuses, and whether its values say what they do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, VALUES, Render
from ib_mcp import tags

Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_finds_nothing_to_complain_about(helm: Helm, values: Path) -> None:
    done = helm("lint", "--strict", CHART, "--values", values)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "setting",
    [
        "mcp.nonsense=1",
        "nonsense=1",
        "mcp.replicas=-1",
        "mcp.replicas=two",
        "mcp.image.pullPolicy=Sometimes",
        "mcp.image.digest=sha256:short",
        "mcp.service.port=70000",
        "mcp.allowedOrigins={chat.example.com}",
        "simulator.signedIn=maybe",
        "simulator.enabled=yes please",
        "gateway.backend=http://api.ibkr.com",
        "gateway.terminationGracePeriodSeconds=-1",
        "keepalive.token.existingSecretKey=",
        "networkPolicy.mcpFrom=all",
        "fullnameOverride=Not_A_Name",
        "mcp.extraGateways[0].name=live",
        "mcp.includeTags={Portfolios}",
        "mcp.ingress.host=https://mcp.example.com/mcp",
        "mcp.allowedHosts={https://mcp.example.com}",
        "gateway.backend=https://api.ibkr.com/v1",
        "mcp.ingress=null",
        "gateway.image=null",
        "networkPolicy=null",
        "simulator.enabled=null",
        "mcp.token.existingSecretKey=null",
        "operator.supervisedFrom=elsewhere",
        "trading.mode=papper",
        "trading.limit.notional=5",
        "trading.limits.notional=0",
        "trading.limits.notional=much",
        "trading.limits.ordersPerDay=1.5",
        "trading.limits.accounts={All}",
        "trading.limits.sides={HOLD}",
        "trading.questions={*}",
        "trading.approval=maybe",
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, setting: str) -> None:
    done = helm("template", "demo", CHART, "--set", setting)
    assert done.returncode != 0
    assert re.split(r"[.=\[]", setting)[0] in done.stderr


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ("mcp.autoscaling.enabled=true,mcp.resources.requests.cpu=null", "the autoscaler measures against it, set it"),
        (r"commonLabels.app\.kubernetes\.io/name=mine", "use another label"),
        (r"gateway.podLabels.app\.kubernetes\.io/component=mine", "use another label"),
        ("mcp.ingress.enabled=true", "set the host name"),
        (
            "mcp.ingress.enabled=true,mcp.ingress.host=a.b",
            "mcp.ingress.tls.insecure where something else brings TLS",
        ),
        ("mcp.httpRoute.enabled=true,mcp.httpRoute.hostnames={a.example}", "name the Gateway"),
        ("mcp.httpRoute.enabled=true,mcp.httpRoute.parentRefs[0].name=a", "set the host name"),
        (
            "mcp.httpRoute.enabled=true,mcp.httpRoute.hostnames={a.b},mcp.httpRoute.parentRefs[0].name=a,mcp.extraEnv[0].name=IB_MCP_NO_AUTH",
            "must show a token",
        ),
        ("mcp.autoscaling.enabled=true,mcp.autoscaling.minReplicas=5", "lower the one or raise the other"),
        ("gateway.backend=https://example.com", 'use a name with "api" in it'),
        ("simulator.enabled=true,gateway.extraJvmOptions={-Da=b}", "unset one of them"),
        ("operator.supervisedFrom=elsewhere/its-operator", "set operator.enabled to false"),
        ("keepalive.compete=true,operator.reauth.enabled=false", "set operator.reauth.enabled"),
        ("brokerageSession.enabled=false,operator.paused=true", "set brokerageSession.enabled"),
        ("trading.mode=live", "name the accounts that may trade live"),
        (
            "trading.mode=live,trading.approval=none,trading.live.accounts={U1234567}",
            "set trading.live.withoutApproval",
        ),
        ("trading.mode=paper,gateway.brokerageLogin=nobody", "trading.mode to off"),
    ],
)
def test_an_impossible_combination_is_refused_with_its_cure(helm: Helm, settings: str, cure: str) -> None:
    done = helm("template", "demo", CHART, "--set", settings)
    assert done.returncode != 0
    assert cure in done.stderr


@pytest.mark.parametrize("emptied", ["gateway.podAnnotations", "mcp.allowedHosts", "mcp.resources", "operator.scope"])
def test_a_value_may_be_left_empty(helm: Helm, emptied: str) -> None:
    done = helm("template", "demo", CHART, "--set", f"{emptied}=null")
    assert done.returncode == 0, done.stderr


def test_the_tags_are_those_of_the_server() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["$defs"]["tags"]["items"]["enum"] == list(tags.KNOWN)


def _leaves(values: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, *path, key)
        else:
            yield (*path, key), value


def _nested(leaves: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (*path, key), value in leaves.items():
        section = found
        for name in path:
            section = section.setdefault(name, {})
        section[key] = value
    return found


def _comments() -> Iterator[tuple[tuple[str, ...], bool, list[str]]]:
    """Each key of values.yaml: its path, whether it opens a section, the comment lines right above it."""
    path: list[str] = []
    above: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        if key := re.match(r"( *)(\w+):(.*)", line):
            path[len(key[1]) // 2 :] = [key[2]]
            yield tuple(path), not key[3], above
        above = [*above, line.strip(" #")] if line.lstrip().startswith("#") else []


@cache
def _examples() -> dict[tuple[str, ...], Any]:
    return {
        path: yaml.safe_load(line.removeprefix("example: "))
        for path, _, above in _comments()
        for line in above
        if line.startswith("example: ")
    }


def test_every_value_has_its_comment() -> None:
    assert len((CHART / "values.yaml").read_text().splitlines()) < 650
    leaves = [(path, above) for path, is_section, above in _comments() if not is_section and "resources" not in path]
    assert len(leaves) > 100
    assert [path for path, above in leaves if not any(line.startswith("--") for line in above)] == []


def test_every_empty_list_and_map_has_an_example_here_or_where_its_name_comes_first() -> None:
    leaves = _leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    shown = {path[-1] for path in _examples()}
    assert [path for path, value in leaves if value in ([], {}) and path[-1] not in shown] == []


def test_the_examples_in_the_comments_can_be_pasted(render: Render, tmp_path: Path) -> None:
    assert len(_examples()) > 15
    (values := tmp_path / "values.yaml").write_text(yaml.safe_dump(_nested(_examples())))
    assert {"more", "demo-ib-mcp-mcp"} <= {item["metadata"]["name"] for item in render("--values", values)}


# Where "unusual" is none of the values that are allowed.
OTHER = {
    "pullPolicy": "Always",
    "digest": f"sha256:{'0' * 64}",
    "brokerageLogin": "gateway",
    "signedIn": "live",
    "policy": "WhenIdle",
    "backend": "https://api.example.com",
    "includeTags": ["Portfolio"],
    "excludeTags": ["Portfolio"],
    "spec": "https://api.example.com/openapi.json",
    "configMapKey": "unusual",
    "naming": "document",
    "channelSecrets": ["unusual"],
    "maxAttempts": 1,
    "ipFamilyPolicy": "PreferDualStack",
    "pathType": "Exact",
    "dnsPorts": [5353],
    "clusterDomain": "home.arpa",
    "imageRegistry": "other.example.com",
    "supervisedFrom": "elsewhere/its-operator",
    "publicUrl": "https://unusual.example.com",
    "url": "https://unusual.example.com",
    "size": "77Mi",
    "cpu": "77m",
    "memory": "77Mi",
    "mode": "preview",
    "approval": "page",
}
# What must be on for a value to matter, besides everything that can be on together.
NEEDS = {
    "byController": {("mcp", "ingress", "tls", "secretName"): "", ("mcp", "ingress", "tls", "insecure"): True},
    "authorities": {("operator", "authorities", "configMap"): "authorities"},
    "brokerageSession": {("operator", "notifications"): []},
    "simulator": {("simulator", "enabled"): True},
    "supervisedFrom": {("operator", "enabled"): False},
    "autoscaling": {("mcp", "autoscaling", "enabled"): True},
    "oauth": {
        ("mcp", "replicas"): 1,
        ("mcp", "publicUrl"): "https://in.example.com",
        ("mcp", "oauth", "enabled"): True,
        ("mcp", "oauth", "existingSecret"): "owner",
    },
    "signIn": {
        ("mcp", "issuer", "url"): "https://id.example.com",
        ("mcp", "issuer", "users"): ["robin"],
        ("mcp", "oauth", "signIn", "clientId"): "server",
        ("mcp", "oauth", "signIn", "existingSecret"): "client",
    },
    "database": {("mcp", "oauth", "database", "existingSecret"): "database"},
    "external": {
        ("mcp", "external", "proxies"): ["10.0.0.1"],
        ("mcp", "external", "users"): ["robin"],
    },
    "issuer": {
        ("mcp", "publicUrl"): "https://in.example.com",
        ("mcp", "issuer", "url"): "https://id.example.com",
        ("mcp", "issuer", "users"): ["robin"],
    },
    "openapi": {("mcp", "openapi", "spec"): "/unusual"},
    "trading": {("trading", "mode"): "paper"},
    "configMapKey": {("mcp", "openapi", "configMap"): "other"},
}


def _unusual(path: tuple[str, ...], value: Any, examples: dict[tuple[str, ...], Any]) -> Any:
    if path in examples or path[-1] in OTHER:
        return examples.get(path, OTHER.get(path[-1]))
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return "unusual"
        case dict():
            return {"unusual": "unusual"}
    return [{"name": "unusual"}]


def test_every_value_changes_what_is_installed(helm: Helm, tmp_path: Path) -> None:
    """Each value alone, against an installation with ingress, route and the owner's Secrets."""
    defaults = dict(_leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    on = {
        ("mcp", "replicas"): 2,
        ("keepalive", "token", "existingSecret"): "guard",
        ("mcp", "token", "existingSecret"): "agents",
        ("trading", "approver", "existingSecret"): "approver",
        ("mcp", "ingress", "enabled"): True,
        ("mcp", "ingress", "host"): "in.example.com",
        ("mcp", "ingress", "tls", "secretName"): "certificate",
        ("mcp", "httpRoute", "enabled"): True,
        ("mcp", "httpRoute", "parentRefs"): [{"name": "other"}],
        ("mcp", "httpRoute", "hostnames"): ["other.example.com"],
        ("operator", "notifications"): [{"name": "other", "type": "ntfy", "secretRef": {"name": "other"}}],
    }

    @cache
    def installed(values: str) -> str:
        (file := tmp_path / "values.yaml").write_text(values)
        done = helm("template", "demo", CHART, "--values", file)
        assert done.returncode == 0, (values, done.stderr)
        return done.stdout

    def idle(path: tuple[str, ...], value: Any) -> bool:
        before = on.copy()
        for word in path:
            before |= NEEDS.get(word, {})
        after = before | {path: _unusual(path, before.get(path, value), _examples())}
        return installed(yaml.safe_dump(_nested(before))) == installed(yaml.safe_dump(_nested(after)))

    # It only permits what is refused without it.
    permits = ("mcp", "ingress", "tls", "insecure")
    assert [path for path, value in defaults.items() if path != permits and idle(path, value)] == []
