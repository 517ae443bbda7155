"""Starting the node's programs, waiting for them and ending them, also those of a run that crashed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cgroups
import network
from layout import STATE


def start(name: str, *command: str | Path) -> None:
    """Run a program in the cluster's network namespace, logging to logs/NAME.log."""
    with (STATE / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [*network.ENTER, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"},
        )
    (STATE / "pids" / name).write_text(str(process.pid))


def wait(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until ``ready`` says so; SystemExit names ``what`` and the logs when it does not in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"cluster: {what} is not ready after {seconds:.0f} s; see {STATE / 'logs'}")
        time.sleep(0.2)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def end(pids: list[int], grace: float = 3) -> None:
    """SIGTERM, then SIGKILL for what is left after ``grace`` seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid in filter(_alive, pids):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while any(map(_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)


def _recorded(*names: str) -> list[int]:
    """Ids of the programs started under these names, or of all, as far as they still run in our network."""
    ours = set(network.processes())
    pids = [int(path.read_text()) for path in (STATE / "pids").glob("*") if not names or path.name in names]
    return [pid for pid in pids if pid in ours]


def end_named(*names: str) -> None:
    """End the programs started under these names."""
    end(_recorded(*names))


def end_node() -> None:
    """End what runs on a node: kubelet, kube-proxy, containerd, every container. The control plane goes on."""
    end_named("kubelet", "kube-proxy", "containerd")
    end(cgroups.processes(), grace=0.5)


def end_all() -> None:
    """End the programs, the containers and their shims, then drop the cgroups."""
    end(_recorded())
    end([*cgroups.processes(), *network.processes()], grace=0.5)
    cgroups.remove()
