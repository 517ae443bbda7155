"""Renders the chart with a real Helm 4: the one on the PATH, or one built from its Go module."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts/ib-mcp"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))

Object = dict[str, Any]
REGISTRY = ("--values", str(Path(__file__).with_name("registry.yaml")))


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``helm(*words)`` runs Helm, whatever it answers."""
    program = shutil.which("helm")
    if program is None:
        if shutil.which("go") is None:
            pytest.skip("neither helm nor Go to build it with is installed")
        command = [sys.executable, str(REPOSITORY / "hack/cluster"), "helm"]
        program = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command, *rest = map(str, words)
        registry = REGISTRY if command in ("template", "install", "lint") else ()
        return subprocess.run([program, command, *registry, *rest], capture_output=True, text=True, check=False)

    return run


Render = Callable[..., list[Object]]


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """``render(*options)``: the objects that an installation would make."""

    def rendered(*options: str | Path, release: str = "demo", chart: Path = CHART) -> list[Object]:
        done = helm("template", release, chart, "--namespace", "home", "--include-crds", *options)
        assert done.returncode == 0, done.stderr
        return [found for found in yaml.safe_load_all(done.stdout) if found]

    return rendered


def pods(objects: list[Object]) -> list[tuple[str, Object]]:
    """Every pod specification with the name of its object, hooks included."""
    found = []
    for item in objects:
        spec = item["spec"] if item["kind"] == "Pod" else item.get("spec", {}).get("template", {}).get("spec")
        if spec and "containers" in spec:
            found.append((f"{item['kind']}/{item['metadata']['name']}", spec))
    return found


def containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def one(objects: list[Object], kind: str, ending: str) -> Object:
    """The object of a kind whose name has this ending."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]
    return found
