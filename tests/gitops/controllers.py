"""GitOps controllers as processes of this machine, with the administrator's kubeconfig of the cluster under test."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from e2e.kube import run, until
from support import programs
from support.api_server import free_port

_MODULES = Path(__file__).parent / "programs"


def program(name: str) -> Path:
    """Path of a controller, built from the Go module ``programs/NAME`` on first use (one to four minutes)."""
    return programs.go_tool(_MODULES / name)


def definitions(name: str, module: str, folder: str) -> None:
    """Make the custom resources of a controller known to the cluster; they stay."""
    version = json.loads(_go(_MODULES / name, "list", "-m", "-json", module))["Version"]
    files = sorted((programs.go_module(module, version) / folder).glob("*.yaml"))
    made = [file for file in files if "CustomResourceDefinition" in file.read_text("utf-8")]
    for file in made:
        run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(file))
    names = [yaml.safe_load(file.read_text("utf-8"))["metadata"]["name"] for file in made]
    run("kubectl", "wait", "--for=condition=Established", "--timeout=30s", *(f"crd/{name}" for name in names))


def _go(folder: Path, *words: str) -> str:
    done = subprocess.run(["go", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def running(name: str, command: list[str | Path], folder: Path, **environment: str) -> Iterator[None]:
    """A process for the time of the block; its output goes to NAME.log in ``folder``."""
    words = [str(word) for word in command]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, env={**os.environ, **environment})
        try:
            time.sleep(0.5)
            assert process.poll() is None, (folder / f"{name}.log").read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of ``folder`` over HTTP on loopback; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def flux(folder: Path) -> Iterator[None]:
    """source-controller, helm-controller and kustomize-controller of Flux."""
    definitions("source-controller", "github.com/fluxcd/source-controller", "config/crd/bases")
    definitions("helm-controller", "github.com/fluxcd/helm-controller", "config/crd/bases")
    definitions("kustomize-controller", "github.com/fluxcd/kustomize-controller", "config/crd/bases")
    storage = f"127.0.0.1:{free_port()}"
    extra = {
        "source-controller": [f"--storage-path={folder}", f"--storage-addr={storage}", f"--storage-adv-addr={storage}"],
        "helm-controller": [],
        "kustomize-controller": ["--feature-gates=ExternalArtifact=true"],
    }
    with ExitStack() as stack:
        for name, options in extra.items():
            ports = [f"--{what}-addr=127.0.0.1:{free_port()}" for what in ("metrics", "health")]
            common = ["--watch-all-namespaces", "--enable-leader-election=false", "--events-addr="]
            command: list[str | Path] = [program(name), *common, *ports, *options]
            stack.enter_context(running(name, command, folder, RUNTIME_NAMESPACE="default"))
        yield


@contextmanager
def argo_cd(folder: Path) -> Iterator[None]:
    """Argo CD's repository server and application controller, with a Redis, in the namespace argocd."""
    redis = shutil.which("redis-server")
    if redis is None:
        raise programs.Unavailable("redis-server is not installed")
    definitions("argocd", "github.com/argoproj/argo-cd/v3", "manifests/crds")
    run("kubectl", "create", "namespace", "argocd", check=False)
    run("kubectl", "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": _argo_objects()}))
    for part in ("repo-server", "application-controller"):
        (folder / f"argocd-{part}").symlink_to(program("argocd"))
    cache, server, metrics = (f"127.0.0.1:{free_port()}" for _ in range(3))
    port = server.partition(":")[2]
    path = f"{programs.go_program('sigs.k8s.io/kustomize/kustomize/v5', 'v5.8.1').parent}:{os.environ['PATH']}"
    repositories: list[str | Path] = [
        folder / "argocd-repo-server", "--client-ca-path=", "--disable-tls", "--address=127.0.0.1", f"--port={port}",
        f"--metrics-port={free_port()}", f"--redis={cache}", "--loglevel=warn",
    ]  # fmt: skip
    controller: list[str | Path] = [
        folder / "argocd-application-controller", f"--kubeconfig={os.environ['KUBECONFIG']}", "--namespace=argocd",
        f"--repo-server={server}", "--repo-server-plaintext", f"--redis={cache}", "--app-resync=10",
        f"--metrics-port={metrics.partition(':')[2]}", "--loglevel=warn",
    ]  # fmt: skip
    start = partial(running, folder=folder, ARGOCD_GPG_ENABLED="false", PATH=path, HOME=str(folder))
    with (
        running("redis", [redis, "--port", cache.partition(":")[2], "--bind", "127.0.0.1", "--save", ""], folder),
        start("argocd-repo-server", repositories),
        start("argocd-application-controller", controller),
    ):
        yield


def _argo_objects() -> list[dict[str, Any]]:
    config = json.loads(run("kubectl", "config", "view", "--raw", "--flatten", "-o", "json"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    certificates = {
        "caData": cluster["certificate-authority-data"],
        "certData": user["client-certificate-data"],
        "keyData": user["client-key-data"],
    }
    label = {"app.kubernetes.io/part-of": "argocd"}

    def made(kind: str, name: str, labels: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "argocd", "labels": {**label, **(labels or {})}}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}

    everything = [{"group": "*", "kind": "*"}]
    project = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": everything,
    }
    return [
        made("ConfigMap", "argocd-cm"),
        made("ConfigMap", "argocd-rbac-cm"),
        made("Secret", "argocd-secret", stringData={"server.secretkey": hashlib.sha256(b"test").hexdigest()}),
        made(
            "Secret",
            "here",
            {"argocd.argoproj.io/secret-type": "cluster"},
            stringData={
                "name": "here",
                "server": cluster["server"],
                "config": json.dumps({"tlsClientConfig": certificates}),
            },
        ),
        {**made("AppProject", "default", spec=project), "apiVersion": "argoproj.io/v1alpha1"},
    ]


def cluster_address() -> str:
    """The API server's address as the kubeconfig has it."""
    return run("kubectl", "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")


def gone(what: str, *words: str, seconds: float = 120) -> None:
    """Wait until ``kubectl get`` of these words finds nothing."""
    until(what, lambda: run("kubectl", "get", *words, "-o", "name", "--ignore-not-found").strip() == "", seconds)
