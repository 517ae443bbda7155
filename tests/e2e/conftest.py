"""The cluster under test: KUBECONFIG's, with the images of hack/images in it, or the one that `make e2e` starts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.kube import Release, describe, run

_NAMESPACES: list[str] = []
CLUSTER = Path(__file__).parents[2] / "hack/cluster"
_PARTS = ("gateway", "keepalive", "mcp", "operator", "simulator")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("KUBECONFIG"):
        reason = "KUBECONFIG names no cluster; `make e2e` starts one"
        for item in items:
            if "/tests/e2e/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed and _NAMESPACES:
        report.sections.append(("pods, events and logs", describe(_NAMESPACES)))
    return report


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A values file that names the images under test."""
    for program in ("kubectl", "helm"):
        assert shutil.which(program), f"{program} is not on the PATH"
    registry = os.environ.get("IB_MCP_REGISTRY", "ib-mcp.test")
    tag = os.environ.get("IB_MCP_TAG", "test")
    policy = "Never" if registry == "ib-mcp.test" else "IfNotPresent"
    image = "{image: {registry: %s, repository: %s, tag: %s, pullPolicy: %s}}"
    path = tmp_path_factory.mktemp("values") / "images.yaml"
    path.write_text("".join(f"{part}: {image % (registry, part, tag, policy)}\n" for part in _PARTS))
    return path


class Node:
    """The machine under the cluster, where it is hack/cluster's."""

    def kill(self, container: str) -> None:
        """Kill a container; its id as in a pod's status."""
        run(sys.executable, str(CLUSTER), "kill", container)

    def restart(self) -> None:
        run(sys.executable, str(CLUSTER), "restart")

    @contextmanager
    def without_api(self) -> Iterator[None]:
        """The API server is down while the block runs."""
        run(sys.executable, str(CLUSTER), "stop-api")
        try:
            yield
        finally:
            run(sys.executable, str(CLUSTER), "start-api")


@pytest.fixture(scope="session")
def node() -> Node:
    own = run(sys.executable, str(CLUSTER), "kubeconfig").strip()
    if os.environ.get("KUBECONFIG") != own:
        pytest.skip("only the machine of `make cluster-up` may be disturbed")
    return Node()


Install = Callable[..., AbstractContextManager[Release]]


@pytest.fixture(scope="session")
def install(images: Path) -> Install:
    """``install(name, *options)``: a release in a namespace of its own under restricted Pod Security."""

    @contextmanager
    def installed(name: str, *options: str, before: Callable[[Release], None] | None = None) -> Iterator[Release]:
        release = Release(name, f"e2e-{name}")
        run("kubectl", "create", "namespace", release.namespace)
        run("kubectl", "label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
        _NAMESPACES.append(release.namespace)
        try:
            if before is not None:
                before(release)
            try:
                release.install("-f", str(images), *options)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{describe([release.namespace])}") from None
            yield release
        finally:
            release.kubectl("delete", "all", "--all", "--grace-period=1", "--wait=false", check=False)
            run("kubectl", "delete", "namespace", release.namespace, "--wait=false", check=False)
            _NAMESPACES.remove(release.namespace)

    return installed
