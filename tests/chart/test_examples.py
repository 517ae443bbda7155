"""The examples for Argo CD and Flux hold values that the chart takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, REPOSITORY, Object, Render
from support import programs

EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))


def _release(example: Path) -> tuple[str, dict[str, Any]]:
    """Path of the chart and the values in an example."""
    (spec,) = (
        document["spec"]
        for document in yaml.safe_load_all(example.read_text())
        if document["kind"] in ("Application", "HelmRelease")
    )
    if "source" in spec:
        return spec["source"]["path"], spec["source"]["helm"]["valuesObject"]
    return spec["chart"]["spec"]["chart"], spec["values"]


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_the_examples_are_those_of_both_tools() -> None:
    assert [path.stem for path in EXAMPLES] == ["argocd-application", "flux-helmrelease"]


def test_an_example_names_the_chart_and_values_that_it_takes(
    helm: Callable[..., subprocess.CompletedProcess[str]], example: Path, tmp_path: Path
) -> None:
    chart, values = _release(example)
    (file := tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm("lint", "--strict", REPOSITORY / chart, "--values", file)
    assert done.returncode == 0, done.stdout


def test_argo_cd_renders_the_same_at_every_look(render: Render, tmp_path: Path) -> None:
    """It renders without a cluster, so a generated token would be another one each time."""

    def looks(values: dict[str, Any]) -> list[list[Object]]:
        (file := tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        return [render("--values", file) for _ in range(2)]

    _, values = _release(CHART / "examples/argocd-application.yaml")
    first, second = looks(values)
    assert first == second
    generated, other = looks({})
    assert generated != other


def test_the_values_in_the_guide_can_be_pasted(render: Render, tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs/kubernetes.md").read_text()
    snippets = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert len(snippets) > 1
    for values in (found for snippet in snippets for found in yaml.safe_load_all(snippet)):
        (file := tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        assert render("--values", file)


def test_the_charts_page_lists_its_values_as_they_are(tmp_path: Path) -> None:
    """Made by helm-docs 1.14.2, by the command `helm-docs` in charts/ib-mcp."""
    assert (CHART / "README.md").read_text() == _page(tmp_path)


def _page(folder: Path) -> str:
    try:
        helm_docs = programs.go_program("github.com/norwoodj/helm-docs/cmd/helm-docs", "v1.14.2")
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    for name in ("Chart.yaml", "values.yaml", "README.md.gotmpl"):
        shutil.copy(CHART / name, folder / name)
    subprocess.run([helm_docs, "--chart-search-root", folder, "--log-level", "error"], check=True, capture_output=True)
    return (folder / "README.md").read_text()
