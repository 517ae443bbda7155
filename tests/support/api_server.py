"""A real Kubernetes API server with its store, for tests: no node, no controllers, the tests play those."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "charts/ib-mcp"
_CACHE = Path(os.environ.get("IB_MCP_CACHE", Path.home() / ".cache" / "ib-mcp")) / "cluster"
_ADMIN = "token-of-the-admin"


def programs() -> Path:
    """The folder with etcd, kube-apiserver and helm; the test is skipped where hack/cluster never built it."""
    found = sorted(_CACHE.glob("programs-*/kube-apiserver"))
    if not found:
        pytest.skip("there is no kube-apiserver here; `make cluster-up` builds one")
    return found[-1].parent


@dataclass(frozen=True)
class ApiServer:
    """``url`` answers by TLS of the authority in ``ca_file``; ``admin`` may do everything."""

    url: str
    folder: Path
    admin: httpx.Client

    @property
    def ca_file(self) -> Path:
        return self.folder / "certs/apiserver.crt"

    def token_file(self, name: str) -> Path:
        return self.folder / name

    def apply(self, *objects: dict[str, Any], manager: str = "tests") -> None:
        """Server-side apply as the admin, who takes what fields others hold."""
        for one in objects:
            answer = self.admin.patch(
                path_of(one),
                params={"fieldManager": manager, "force": "true"},
                content=json.dumps(one),
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
            assert answer.is_success, answer.text

    def get(self, path: str) -> dict[str, Any]:
        answer = self.admin.get(path)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def set_status(self, path: str, status: dict[str, Any]) -> None:
        answer = self.admin.patch(
            f"{path}/status",
            content=json.dumps({"status": status}),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert answer.is_success, answer.text


def path_of(one: dict[str, Any]) -> str:
    """The path of an object, by the plural that its kind has."""
    version, kind, meta = one["apiVersion"], one["kind"], one["metadata"]
    base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    plural = kind.lower() + ("s" if not kind.endswith("y") else "")
    plural = plural.removesuffix("y") + "ies" if kind.endswith("y") else plural
    place = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{base}{place}/{plural}/{meta['name']}"


def rendered(namespace: str, *options: str, release: str = "demo") -> list[dict[str, Any]]:
    """The chart's objects, hooks included."""
    command = [str(programs() / "helm"), "template", release, str(CHART), "--namespace", namespace, "--include-crds"]
    command.append("--set=global.imageRegistry=registry.test")
    text = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
    return [one for one in yaml.safe_load_all(text) if one]


class Runner:
    """Starts and stops the two programs in ``folder``; the store outlives a stop."""

    def __init__(self, folder: Path, accounts: dict[str, str]) -> None:
        self._folder = folder
        self._store, self._peer, self.port = (free_port() for _ in range(3))
        self._running: list[subprocess.Popen[bytes]] = []
        lines = [f'{_ADMIN},admin,admin,"system:masters"']
        for name, account in accounts.items():
            groups = f"system:serviceaccounts,system:serviceaccounts:{account.split(':')[2]},system:authenticated"
            lines.append(f'token-of-{name},{account},{name},"{groups}"')
            (folder / name).write_text(f"token-of-{name}")
        (folder / "tokens.csv").write_text("\n".join(lines))
        subprocess.run(
            ["openssl", "genrsa", "-out", folder / "sa.key", "2048"], check=True, capture_output=True
        )  # fmt: skip

    def start_store(self) -> None:
        here = "http://127.0.0.1"
        self._start(
            "etcd", f"--data-dir={self._folder}/etcd", "--unsafe-no-fsync", "--log-level=error",
            f"--listen-client-urls={here}:{self._store}", f"--advertise-client-urls={here}:{self._store}",
            f"--listen-peer-urls={here}:{self._peer}", f"--initial-advertise-peer-urls={here}:{self._peer}",
            f"--initial-cluster=default={here}:{self._peer}",
        )  # fmt: skip

    def start_server(self) -> None:
        key = self._folder / "sa.key"
        self._start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self._store}", f"--secure-port={self.port}",
            "--bind-address=127.0.0.1", f"--cert-dir={self._folder}/certs", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-account-issuer=https://tests",
            "--authorization-mode=RBAC", f"--token-auth-file={self._folder}/tokens.csv",
            "--service-cluster-ip-range=198.19.0.0/24", "--disable-admission-plugins=ServiceAccount",
        )  # fmt: skip
        client = self.client()
        deadline = time.monotonic() + 60
        while True:
            try:
                if client.get("/readyz").status_code == 200:
                    client.close()
                    return
            except (httpx.TransportError, OSError):
                client.close()
                client = self.client()
            assert time.monotonic() < deadline, (self._folder / "kube-apiserver.log").read_text()[-3000:]
            time.sleep(0.1)

    def client(self) -> httpx.Client:
        authority = self._folder / "certs/apiserver.crt"
        verify: Any = ssl.create_default_context(cafile=str(authority)) if authority.exists() else False
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {_ADMIN}"},
            verify=verify,
            trust_env=False,
            timeout=30,
        )

    def stop_server(self) -> None:
        _stop(self._running.pop())

    def stop(self) -> None:
        while self._running:
            _stop(self._running.pop())

    def _start(self, name: str, *options: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running.append(subprocess.Popen([programs() / name, *options], stdout=log, stderr=log))


@contextmanager
def running(folder: Path, accounts: dict[str, str]) -> Iterator[tuple[ApiServer, Runner]]:
    """A fresh API server. ``accounts``: file name of a token and the full name of whose it is."""
    runner = Runner(folder, accounts)
    try:
        runner.start_store()
        runner.start_server()
        with runner.client() as admin:
            yield ApiServer(f"https://127.0.0.1:{runner.port}", folder, admin), runner
    finally:
        runner.stop()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
