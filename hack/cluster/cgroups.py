"""The cluster's own subtree in every cgroup hierarchy: pods are found in it whatever became of their parents."""

from __future__ import annotations

from pathlib import Path

from layout import CGROUP

_ROOT = Path("/sys/fs/cgroup")


def make() -> None:
    """Make the subtree; the kubelet refuses a cgroupRoot that is missing in any hierarchy."""
    if (_ROOT / "cgroup.controllers").exists():
        (_ROOT / CGROUP).mkdir()
        return
    for hierarchy in filter(Path.is_dir, _ROOT.iterdir()):
        group = hierarchy / CGROUP
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # a new cpuset is empty and admits nobody
            if (group / name).exists():
                (group / name).write_text((hierarchy / name).read_text())


def _groups() -> list[Path]:
    """Our cgroups in every hierarchy, deepest first."""
    roots = [*_ROOT.glob(f"*/{CGROUP}"), _ROOT / CGROUP]
    found = {group.resolve() for root in roots for group in (root, *root.rglob("*")) if group.is_dir()}
    return sorted(found, key=lambda group: len(group.parts), reverse=True)


def processes() -> list[int]:
    """Ids of the processes in the subtree."""
    return sorted({int(pid) for group in _groups() for pid in (group / "cgroup.procs").read_text().split()})


def remove() -> None:
    """Drop the emptied subtree."""
    for group in _groups():
        group.rmdir()
