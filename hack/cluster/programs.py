"""Builds the cluster's programs from Go modules and C once, into a cache keyed by their sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from layout import CACHE, HERE, run, say

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl", "etcd")
TOOLS = (
    "helm.sh/helm/v4/cmd/helm",
    "github.com/containerd/containerd/v2/cmd/containerd",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    "github.com/containerd/containerd/v2/cmd/ctr",
)


def _sources() -> list[Path]:
    return [*sorted(path for path in (HERE / "programs").rglob("*") if path.is_file()), HERE / "pause.c"]


def _version() -> str:
    """The Kubernetes version that go.mod asks for, such as 1.37.1."""
    for line in (HERE / "programs" / "go.mod").read_text().splitlines():
        words = line.split()
        if words[:1] == ["k8s.io/kubernetes"]:
            return words[1].removeprefix("v")
    raise SystemExit("cluster: programs/go.mod does not name k8s.io/kubernetes")


def _stamp(version: str) -> str:
    """Linker flags that make the programs say their version; without them a chart's kubeVersion check fails."""
    major, minor, _ = version.split(".")
    values = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


def _build(target: Path) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    options = {"cwd": HERE / "programs", "env": environment}
    version = _version()
    say(f"building Kubernetes {version} from Go modules (about 6 minutes on two cores, once)")
    run("go", "build", "-trimpath", "-ldflags", _stamp(version), "-o", target / "hyper", "./hyper", **options)
    say("building containerd, helm and CoreDNS (about a minute, once)")
    run("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{target}/", "./coredns", *TOOLS, **options)
    run("cc", "-Os", "-static", "-o", target / "pause", HERE / "pause.c")
    for name in COMPONENTS:
        (target / name).symlink_to("hyper")


def ensure() -> Path:
    """The folder with all programs, built when it is not in the cache."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    folder = CACHE / f"programs-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _build(Path(scratch))
            shutil.copytree(scratch, folder, symlinks=True)
    return folder
