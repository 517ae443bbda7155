"""What the chart accepts and refuses, and whether its values say what they do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, VALUES
from ib_mcp import toolsets

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
        ("mcp.httpRoute.enabled=true,mcp.httpRoute.hostnames={a.example}", "name the Gateway"),
        ("mcp.httpRoute.enabled=true,mcp.httpRoute.parentRefs[0].name=a", "set the host name"),
        ("mcp.ingress.enabled=true,mcp.ingress.host=a.b,mcp.extraEnv[0].name=IB_MCP_NO_AUTH", "must show a token"),
        ("mcp.autoscaling.enabled=true,mcp.autoscaling.minReplicas=5", "lower the one or raise the other"),
        ("gateway.backend=https://example.com", 'use a name with "api" in it'),
        ("simulator.enabled=true,gateway.extraJvmOptions={-Da=b}", "unset one of them"),
        ("operator.supervisedFrom=elsewhere", "set operator.enabled to false"),
        ("keepalive.compete=true,operator.reauth.enabled=false", "set operator.reauth.enabled"),
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
    assert schema["$defs"]["tags"]["items"]["enum"] == list(toolsets.KNOWN)


def _leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_has_its_comment_and_every_empty_one_an_example_where_its_form_is_not_plain() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    assert len(lines) < 500
    for number, line in enumerate(lines):
        key = re.match(r"\s*(\w+): (?!\{[a-z])\S", line)
        if key and not line.lstrip().startswith(("requests:", "limits:")):
            above = [text.strip() for text in lines[max(0, number - 2) : number]]
            assert any(text.startswith("# --") for text in above), f"line {number + 1}: {line.strip()}"


def test_every_value_is_used_by_a_template() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    templates = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    unused = [leaf for leaf in _leaves(values) if not re.search(rf"\b{leaf.rsplit('.', 1)[-1]}\b", templates)]
    assert unused == []
