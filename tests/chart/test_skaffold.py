"""skaffold.yaml builds what the chart runs."""

from __future__ import annotations

import re
from typing import Any

import yaml

from chart.conftest import CHART, REPOSITORY

SKAFFOLD = yaml.safe_load((REPOSITORY / "skaffold.yaml").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
(SIMULATED,) = SKAFFOLD["profiles"]


def built(config: dict[str, Any]) -> set[str]:
    return {artifact["image"].removeprefix("ib-mcp/") for artifact in config["build"]["artifacts"]}


def release(config: dict[str, Any]) -> dict[str, Any]:
    (found,) = config["deploy"]["helm"]["releases"]
    return dict(found)


def test_each_artifact_has_its_containerfile() -> None:
    for config in (SKAFFOLD, SIMULATED):
        for artifact in config["build"]["artifacts"]:
            assert (REPOSITORY / artifact["docker"]["dockerfile"]).is_file(), artifact["image"]


def test_every_image_that_is_built_is_handed_to_the_chart_by_a_value_that_exists() -> None:
    for config in (SKAFFOLD, SIMULATED):
        templates = release(config)["setValueTemplates"]
        assert {key.split(".")[0] for key in templates} == built(config)
        for key, template in templates.items():
            part, image, name = key.split(".")
            assert name in VALUES[part][image], key
            assert template == "" or f"_ib_mcp_{part}}}}}" in template, key


def test_the_profile_swaps_the_gateway_for_the_simulator() -> None:
    assert built(SKAFFOLD) - built(SIMULATED) == {"gateway"}
    assert built(SIMULATED) - built(SKAFFOLD) == {"simulator"}
    assert release(SIMULATED)["setValues"] == {"simulator.enabled": True, "global.imageRegistry": "docker.io"}
    assert release(SKAFFOLD)["chartPath"] == release(SIMULATED)["chartPath"] == "charts/ib-mcp"


def test_docker_is_sent_what_the_images_copy_and_nothing_else() -> None:
    """Docker, which skaffold builds with, knows no .containerignore; buildah takes either."""
    everything, *admitted, bytecode = (REPOSITORY / ".dockerignore").read_text().split()
    assert (everything, bytecode) == ("*", "**/__pycache__")
    sources = set()
    for artifact in SKAFFOLD["build"]["artifacts"] + SIMULATED["build"]["artifacts"]:
        lines = (REPOSITORY / artifact["docker"]["dockerfile"]).read_text().splitlines()
        sources |= {line.split()[1].split("/")[0] for line in lines if re.match(r"COPY (?!--from)", line)}
    assert sources == {name.removeprefix("!") for name in admitted}
