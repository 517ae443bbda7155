"""Builds the cluster's programs from Go modules and C once, into a cache keyed by their sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from layout import CACHE, HERE, run, say

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl", "etcd")
TOOLS = (
    "helm.sh/helm/v4/cmd/helm",
    "github.com/containerd/containerd/v2/cmd/containerd",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    "github.com/containerd/containerd/v2/cmd/ctr",
)
# The Go modules that name a Kubernetes version each. What a node needs besides it is in the first for both.
_NEWEST, _FLOOR = HERE / "programs", HERE / "floor"


def _sources(*modules: Path) -> list[Path]:
    files = [path for module in modules for path in sorted(module.rglob("*")) if path.is_file()]
    return [*files, HERE / "pause.c"]


def _version(module: Path) -> str:
    """The Kubernetes version that go.mod asks for, such as 1.37.1."""
    for line in (module / "go.mod").read_text().splitlines():
        words = line.split()
        if words[:1] == ["k8s.io/kubernetes"]:
            return words[1].removeprefix("v")
    raise SystemExit(f"cluster: {module.name}/go.mod does not name k8s.io/kubernetes")


def _minor(module: Path) -> str:
    return _version(module).rpartition(".")[0]


def wanted() -> str:
    """The Kubernetes that the variable KUBERNETES asks for, such as 1.37; SystemExit names the choices."""
    newest, floor = map(_minor, (_NEWEST, _FLOOR))
    asked = os.environ.get("KUBERNETES") or newest
    if asked not in (newest, floor):
        raise SystemExit(f"cluster: KUBERNETES={asked} is unknown: choose {newest} (the default) or {floor}")
    return asked


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


def _go_build(module: Path, target: Path, flags: str, *packages: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    command = ("go", "build", "-trimpath", "-ldflags", flags, "-o", f"{target}/", *packages)
    run(*command, cwd=module, env=environment)


def _build_helm(target: Path) -> None:
    say("building helm (about two minutes, once)")
    target.mkdir()
    _go_build(_NEWEST, target, "-s -w", TOOLS[0])


def _build_kubernetes(module: Path, target: Path) -> None:
    target.mkdir()
    version = _version(module)
    say(f"building Kubernetes {version} from Go modules (about 6 minutes on two cores, once)")
    _go_build(module, target, _stamp(version), "./hyper")


def _build(target: Path) -> None:
    _build_kubernetes(_NEWEST, target)
    say("building containerd, helm and CoreDNS (about a minute, once)")
    _go_build(_NEWEST, target, "-s -w", "./coredns", *TOOLS)
    run("cc", "-Os", "-static", "-o", target / "pause", HERE / "pause.c")
    for name in COMPONENTS:
        (target / name).symlink_to("hyper")


def _build_floor(newest: Path, target: Path) -> None:
    """The oldest Kubernetes, with links to everything else among the programs of the newest."""
    _build_kubernetes(_FLOOR, target)
    for program in newest.iterdir():
        own = program.name in COMPONENTS and program.name != "etcd"
        if program.name != "hyper":
            (target / program.name).symlink_to("hyper" if own else Path("..") / newest.name / program.name)


def _key(*modules: Path) -> str:
    digest = hashlib.sha256()
    for path in _sources(*modules):
        digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The cached folder of this name and key, filled by ``build`` on first use, by one process at a time."""
    folder = CACHE / f"{name}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                build(made := Path(scratch) / name)
                made.rename(folder)
    return folder


def ensure(minor: str) -> Path:
    """The folder with all programs of a node of this Kubernetes, built when it is not in the cache."""
    newest = _kept("programs", _key(_NEWEST), _build)
    if minor == _minor(_NEWEST):
        return newest
    return _kept("floor", _key(_NEWEST, _FLOOR), partial(_build_floor, newest))


def helm() -> Path:
    """Helm alone, for who needs no cluster."""
    key = _key(_NEWEST)
    whole = CACHE / f"programs-{key}" / "helm"
    return whole if whole.exists() else _kept("helm", key, _build_helm) / "helm"
