"""Builds the cluster's programs from Go modules and C once, into a cache keyed by their sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
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


def _go_build(target: Path, flags: str, *packages: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    command = ("go", "build", "-trimpath", "-ldflags", flags, "-o", f"{target}/", *packages)
    run(*command, cwd=HERE / "programs", env=environment)


def _build_helm(target: Path) -> None:
    say("building helm (about two minutes, once)")
    target.mkdir()
    _go_build(target, "-s -w", TOOLS[0])


def _build(target: Path) -> None:
    target.mkdir()
    version = _version()
    say(f"building Kubernetes {version} from Go modules (about 6 minutes on two cores, once)")
    _go_build(target, _stamp(version), "./hyper")
    say("building containerd, helm and CoreDNS (about a minute, once)")
    _go_build(target, "-s -w", "./coredns", *TOOLS)
    run("cc", "-Os", "-static", "-o", target / "pause", HERE / "pause.c")
    for name in COMPONENTS:
        (target / name).symlink_to("hyper")


def _key() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(name: str, build: Callable[[Path], None]) -> Path:
    """The cached folder of this name, filled by ``build`` on first use, by one process at a time."""
    folder = CACHE / f"{name}-{_key()}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                build(made := Path(scratch) / name)
                made.rename(folder)
    return folder


def ensure() -> Path:
    """The folder with all programs, built when it is not in the cache."""
    return _kept("programs", _build)


def helm() -> Path:
    """Helm alone, for who needs no cluster."""
    whole = CACHE / f"programs-{_key()}" / "helm"
    return whole if whole.exists() else _kept("helm", _build_helm) / "helm"
