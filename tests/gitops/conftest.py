"""The chart in a Helm repository on loopback, its parts' images on the cluster under test, and a release to look at."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.conftest import images, pytest_runtest_makereport
from e2e.kube import CHART, Release, run, until
from gitops.controllers import flux, serving

__all__ = ["images", "pytest_runtest_makereport"]

Values = dict[str, Any]
Namespace = Callable[[str], AbstractContextManager[Release]]


@pytest.fixture(scope="session")
def values(images: Path) -> Values:
    """Values of a release that waits for somebody to sign in, as most installations are at first."""
    tokens = {part: {"token": {"existingSecret": "tokens", "existingSecretKey": part}} for part in ("keepalive", "mcp")}
    chosen: Values = yaml.safe_load(images.read_text("utf-8"))
    for part, token in tokens.items():
        chosen[part].update(token)
    return {**chosen, "simulator": {**chosen.get("simulator", {}), "enabled": True}}


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Helm repository with the chart in it."""
    folder = tmp_path_factory.mktemp("repository")
    run("helm", "package", str(CHART), "--destination", str(folder))
    with serving(folder) as address:
        run("helm", "repo", "index", str(folder), "--url", address)
        yield address


@pytest.fixture(scope="session")
def namespace() -> Namespace:
    """``namespace(name)``: an empty namespace under restricted Pod Security with the Secret of the tokens."""

    @contextmanager
    def made(name: str) -> Iterator[Release]:
        release = Release(name, f"gitops-{name}")
        run("kubectl", "create", "namespace", release.namespace)
        run("kubectl", "label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
        pairs = [f"--from-literal={part}={secrets.token_urlsafe(32)}" for part in ("keepalive", "mcp")]
        release.kubectl("create", "secret", "generic", "tokens", *pairs)
        try:
            yield release
        finally:
            run("kubectl", "delete", "namespace", release.namespace, "--wait=false", check=False)

    return made


def apply(*objects: dict[str, Any]) -> None:
    """Hand objects to the cluster."""
    run("kubectl", "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def phase(release: Release) -> str:
    """What the operator says of the release's session."""
    return str(release.get("ibs", release.name).get("status", {}).get("phase"))


def waits_for_its_owner(release: Release) -> None:
    """Return once the operator says that somebody has to sign in."""
    until("a session that waits", lambda: exists(release) and phase(release) == "AwaitingLogin", 180)


def exists(release: Release) -> bool:
    """Whether the release's session is there."""
    return bool(release.kubectl("get", "ibs", release.name, "--ignore-not-found", "-o", "name").strip())


def left_over(release: Release) -> list[str]:
    """What there is in the namespace still, but for what Kubernetes and the test put there.

    The Secret of agents' named tokens outlives its release on purpose.
    """
    kinds = "pod,svc,sts,deploy,rs,ibs,cm,secret,sa,role,rolebinding,networkpolicy,pdb,ingress,pvc"
    found = release.kubectl("get", kinds, "-o", "name", "--ignore-not-found").split()
    return [name for name in found if not name.endswith(("/kube-root-ca.crt", "/default", "/tokens", "-mcp-tokens"))]


def is_emptied(release: Release) -> None:
    """Wait until nothing is left; AssertionError names what is."""
    try:
        until("an empty namespace", lambda: not left_over(release), 90)
    except AssertionError:
        raise AssertionError(f"left: {left_over(release)}") from None


@pytest.fixture(scope="session")
def flux_controllers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with flux(tmp_path_factory.mktemp("flux")):
        yield


def ready_condition(release: Release, kind: str) -> dict[str, Any]:
    """The condition Ready of what was asked last, {} while that is under way."""
    found = release.get(kind, release.name)
    ready = [one for one in found.get("status", {}).get("conditions", []) if one["type"] == "Ready"]
    is_new = bool(ready) and ready[0].get("observedGeneration") == found["metadata"]["generation"]
    return ready[0] if is_new and ready[0]["status"] != "Unknown" else {}
