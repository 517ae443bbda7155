"""The images that were built for the cluster, as their archives show them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

ARCHIVES = Path(__file__).parents[2] / ".run/images"


def _open(part: str) -> tuple[dict[str, Any], set[str]]:
    """An image's configuration and the names of all its files."""
    path = ARCHIVES / f"{part}.tar"
    if not path.exists():
        pytest.skip("the images of this cluster were built elsewhere")
    with tarfile.open(path) as archive:

        def member(name: str) -> Any:
            found = archive.extractfile(name)
            assert found is not None, name
            return found

        (manifest,) = json.load(member("manifest.json"))
        config: dict[str, Any] = json.load(member(manifest["Config"]))["config"]
        files: set[str] = set()
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=member(layer)) as content:
                files.update(content.getnames())
    return config, files


@pytest.mark.parametrize("part", ["gateway", "keepalive", "mcp", "operator", "simulator"])
def test_an_image_is_as_its_containerfile_says(part: str) -> None:
    config, files = _open(part)
    assert config["User"] == "65532:65532"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["org.opencontainers.image.title"].startswith("ib-mcp ")
    own = {name.split("/")[1] for name in files if name.startswith("app/ib")}
    assert own == (set() if part == "gateway" else {"ibkr", "ib_service", f"ib_{part}"})
