"""Rendered manifests in a repository: Flux's kustomize-controller itself, on the cluster under test."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.kube import CHART, Release, run, until
from gitops.conftest import Namespace, Values, apply, is_emptied, phase, ready_condition, waits_for_its_owner
from gitops.controllers import serving

pytestmark = pytest.mark.usefixtures("flux_controllers")


@pytest.fixture(scope="module")
def publish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Release, Values], None]]:
    folder = tmp_path_factory.mktemp("artifacts")
    with serving(folder) as address:

        def publish(release: Release, values: Values) -> None:
            archive = _render(folder, release, values)
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            named = {"name": release.name, "namespace": release.namespace}
            artifact = {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "ExternalArtifact",
                "metadata": named,
                "spec": {"sourceRef": {"apiVersion": "example.test/v1", "kind": "Test", "name": "test"}},
            }
            apply(artifact)
            status = {
                "artifact": {
                    "path": archive.name,
                    "url": f"{address}/{archive.name}",
                    "revision": f"main@sha256:{digest}",
                    "digest": f"sha256:{digest}",
                    "lastUpdateTime": "2026-01-01T00:00:00Z",
                    "size": archive.stat().st_size,
                },
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "Published",
                        "message": "published",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }
                ],
            }
            patch = json.dumps({"status": status})
            release.kubectl(
                "patch", "externalartifact", release.name, "--subresource=status", "--type=merge", "-p", patch
            )

        yield publish


@pytest.fixture(scope="module")
def release(
    flux_controllers: None, namespace: Namespace, values: Values, publish: Callable[[Release, Values], None]
) -> Iterator[Release]:
    with namespace("kustomize") as release:
        publish(release, values)
        apply(
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"name": release.name, "namespace": release.namespace},
                "spec": {
                    "interval": "1h",
                    "prune": True,
                    "timeout": "3m",
                    "sourceRef": {"kind": "ExternalArtifact", "name": release.name},
                },
            }
        )
        yield release


def test_an_installation_succeeds_before_anybody_signed_in(release: Release) -> None:
    until("the kustomization", lambda: ready_condition(release, "kustomization").get("status") == "True", 240)
    waits_for_its_owner(release)


def test_a_change_of_the_policy_alone_and_the_former_commit(
    release: Release, values: Values, publish: Callable[[Release, Values], None]
) -> None:
    before = release.pods("gateway")[0]["metadata"]["uid"]
    publish(release, {**values, "operator": {**values["operator"], "paused": True}})
    until("the pause", lambda: phase(release) == "Paused")
    publish(release, values)
    until("the end of the pause", lambda: phase(release) == "AwaitingLogin")
    assert release.pods("gateway")[0]["metadata"]["uid"] == before


def test_nothing_is_left_when_it_goes(release: Release) -> None:
    release.kubectl("delete", "kustomization", release.name, "--timeout=120s")
    is_emptied(release)


def _render(folder: Path, release: Release, values: Values) -> Path:
    """An archive of what Helm renders, with the definition of BrokerageSession, as a repository would hold it."""
    written = folder / "values.yaml"
    written.write_text(json.dumps(values), "utf-8")
    words = ("helm", "template", release.name, str(CHART), "-n", release.namespace, "-f", str(written))
    made = folder / "all.yaml"
    made.write_text(run(*words, "--no-hooks", "--include-crds"), "utf-8")
    listed = folder / "kustomization.yaml"
    listed.write_text(f"namespace: {release.namespace}\nresources: [all.yaml]\n", "utf-8")
    archive = folder / f"{hashlib.sha256(made.read_bytes()).hexdigest()[:12]}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for file in (made, listed):
            tar.add(file, arcname=file.name)
    return archive
