"""kubectl and helm against the cluster under test, and what a person does with them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

CHART = Path(__file__).resolve().parents[2] / "charts/ib-mcp"
LOOK_SECONDS = 0.3
# What a caller meets where a policy or a loopback listener keeps it out.
REFUSED = {"TimeoutError", "timeout", "ConnectionRefusedError"}
Found = TypeVar("Found")


def run(*command: str, text: str | None = None, check: bool = True) -> str:
    """A command's output; its errors are shown when it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=300)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def until(what: str, look: Callable[[], Found], seconds: float = 60) -> Found:
    """What ``look`` finds once it is true; AssertionError names ``what`` when it is not in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(LOOK_SECONDS)
    return found


@dataclass(frozen=True)
class Release:
    """One installation of the chart in a namespace of its own."""

    name: str
    namespace: str

    @property
    def prefix(self) -> str:
        return f"{self.name}-ib-mcp"

    @property
    def gateway_pod(self) -> str:
        return f"{self.prefix}-gateway-0"

    def kubectl(self, *words: str, text: str | None = None, check: bool = True) -> str:
        return run("kubectl", "-n", self.namespace, *words, text=text, check=check)

    def get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def helm(self, *words: str) -> str:
        return run("helm", "-n", self.namespace, *words)

    def install(self, *options: str) -> str:
        return self.helm("install", self.name, str(CHART), *options, "--wait", "--timeout", "120s")

    def upgrade(self, *options: str) -> str:
        options = ("--reuse-values", *options, "--wait", "--timeout", "120s")
        return self.helm("upgrade", self.name, str(CHART), *options)

    def token(self, part: str) -> str:
        secret = self.get("secret", f"{self.prefix}-{part}")
        return base64.b64decode(secret["data"]["token"]).decode()

    def pods(self, component: str) -> list[dict[str, Any]]:
        found = self.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def status(self) -> dict[str, Any]:
        """The session's state, read where the operator reads it."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.gateway_pod}:8081/proxy/status"
        found: dict[str, Any] = json.loads(self.kubectl("get", "--raw", path))
        return found

    def reaches(self, state: str, seconds: float = 60) -> None:
        until(f"state {state}", lambda: self.status()["state"] == state, seconds)

    def simulator(self, action: str, **arguments: Any) -> dict[str, Any]:
        """An action of the simulator's control API, asked from inside the gateway container."""
        return self._in_simulator("gateway", self.gateway_pod, f"http://127.0.0.1:5001/control/{action}", arguments)

    def _in_simulator(self, container: str, pod: str, url: str, arguments: dict[str, Any]) -> dict[str, Any]:
        script = (
            "import json,sys,urllib.request as u;"
            "r=u.Request(sys.argv[1],sys.argv[2].encode(),{'Content-Type':'application/json'});"
            "print(u.urlopen(r,timeout=10).read().decode())"
        )
        answer = self.kubectl("exec", pod, "-c", container, "--", "python3", "-c", script, url, json.dumps(arguments))
        found: dict[str, Any] = json.loads(answer)
        return found

    def from_pod(self, pod: str, container: str, host: str, port: int, path: str = "/", token: str = "") -> str:
        """What a GET from inside a pod meets: the HTTP status, or the error's kind."""
        script = (
            "import sys,urllib.request as u,urllib.error as e\n"
            "h={'Authorization':'Bearer '+sys.argv[2]} if sys.argv[2] else {}\n"
            "try: print(u.urlopen(u.Request(sys.argv[1],headers=h),timeout=4).status)\n"
            "except e.HTTPError as x: print(x.code)\n"
            "except Exception as x: print(type(getattr(x,'reason',x)).__name__)\n"
        )
        url = f"http://{host}:{port}{path}"
        return self.kubectl("exec", pod, "-c", container, "--", "python3", "-c", script, url, token).strip()


def ready(pod: dict[str, Any]) -> bool:
    """Whether a pod serves."""
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


@contextmanager
def port_forward(release: Release, target: str, port: int) -> Iterator[int]:
    """``kubectl port-forward`` of a target's port to a free local one."""
    command = ["kubectl", "-n", release.namespace, "port-forward", target, f":{port}", "--address", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
        assert found, line + process.stdout.read()
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextmanager
def volume(name: str, folder: Path, size: str) -> Iterator[None]:
    """A volume of the class ``name`` in a folder of this machine, as a cluster's storage would give it."""
    folder.chmod(0o777)
    for each in (folder.parent, folder.parent.parent):
        each.chmod(0o755)
    host = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    here = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": name,
        "persistentVolumeReclaimPolicy": "Retain",
        "local": {"path": str(folder)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
    }
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    run("kubectl", "apply", "-f", "-", text=json.dumps(made))
    try:
        yield
    finally:
        run("kubectl", "delete", "persistentvolume", name, "--wait=false", check=False)


def describe(namespaces: Sequence[str]) -> str:
    """Pods, events and logs of namespaces, for a person who looks at a failure."""
    parts: list[str] = []
    for namespace in namespaces:
        pods = run("kubectl", "-n", namespace, "get", "pods", "-o", "name", check=False).split()
        looks = [["get", "pods", "-o", "wide"], ["get", "events", "--sort-by=.lastTimestamp"]]
        looks += [["logs", pod, "--prefix", "--all-containers", "--tail=40"] for pod in pods]
        parts.extend(run("kubectl", "-n", namespace, *look, check=False) for look in looks)
    return "\n".join(parts)
