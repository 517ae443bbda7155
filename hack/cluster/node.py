"""One real Kubernetes node: control plane, kubelet, containerd, DNS and policy enforcement, up and down again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cgroups
import front
import images
import network
import pki
import programs
import settings
from layout import HERE, KUBECONFIG, NODE, NODE_IP, POD_CIDR, SERVICE_CIDR, SOCKET, STATE, run, say
from processes import end_all, end_named, end_node, start, wait

_ETCD = "http://127.0.0.1:2379"
_PEER = "http://127.0.0.1:2380"
_VERSION = STATE / "kubernetes"  # such as 1.37, once the node is ready
_REQUIRED = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "openssl": "openssl",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0


def _control_plane(bin: Path, pki: Path) -> None:
    start(
        "etcd",
        bin / "etcd",
        f"--name={NODE}",
        f"--data-dir={STATE / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_PEER}",
        f"--initial-advertise-peer-urls={_PEER}",
        f"--initial-cluster={NODE}={_PEER}",
        "--unsafe-no-fsync",
    )
    start_api(bin)
    start(
        "kube-controller-manager",
        bin / "kube-controller-manager",
        f"--kubeconfig={pki / 'controllers.conf'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-cidr={POD_CIDR}",
        "--use-service-account-credentials",
        "--leader-elect=false",
    )
    start("kube-scheduler", bin / "kube-scheduler", f"--kubeconfig={pki / 'scheduler.conf'}", "--leader-elect=false")


def start_api(bin: Path) -> None:
    """Start the API server and wait until it is ready."""
    pki = STATE / "pki"
    start(
        "kube-apiserver",
        bin / "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        "--secure-port=6443",
        f"--advertise-address={NODE_IP}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.key'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        # else it asks DNS for the node's name, and exec, logs and port-forward fail
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    )
    wait("the API server", lambda: _succeeds(bin / "kubectl", "--kubeconfig", KUBECONFIG, "get", "--raw", "/readyz"))


def start_kubelet(bin: Path) -> None:
    """Start containerd, kubelet and kube-proxy: what a restart of the node starts again."""
    folder = STATE / "pki"
    start("containerd", bin / "containerd", "-c", STATE / "containerd.toml")
    wait("containerd", lambda: _succeeds(bin / "ctr", "-a", SOCKET, "version"))
    images.load_own(bin)
    start(
        "kubelet",
        bin / "kubelet",
        f"--config={STATE / 'kubelet.json'}",
        f"--kubeconfig={folder / 'kubelet.conf'}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={STATE / 'kubelet'}",
    )
    start("kube-proxy", bin / "kube-proxy", f"--config={STATE / 'proxy.json'}")


def up() -> Path:
    """Start the node and return the kubeconfig's path; a node that runs already is left as it is."""
    missing = sorted({package for name, package in _REQUIRED.items() if not shutil.which(name)})
    if missing:
        raise SystemExit(f"cluster: install these Debian packages first: {' '.join(missing)}")
    version = programs.wanted()
    bin = programs.ensure(version)
    kubectl = (bin / "kubectl", "--kubeconfig", KUBECONFIG)
    if _VERSION.exists() and _succeeds(*kubectl, "get", "--raw", "/readyz"):
        if _VERSION.read_text() == version:
            say(f"already up with Kubernetes {version}")
            return KUBECONFIG
        say(f"Kubernetes {_VERSION.read_text()} is up: it makes way for {version}")
    down()
    for name in ("logs", "pids"):
        (STATE / name).mkdir(parents=True)
    network.make()
    cgroups.make()
    folder = pki.make()
    settings.write(folder, version)
    say(f"starting the control plane of Kubernetes {version}")
    _control_plane(bin, folder)
    start_kubelet(bin)
    run(*kubectl, "apply", "-f", HERE / "dns.yaml")
    if os.environ.get("POLICIES") != "none":
        start("policies", sys.executable, HERE / "policies.py", bin / "kubectl", KUBECONFIG)
    wait("the node", lambda: _succeeds(*kubectl, "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=1s"))
    wait("cluster DNS", lambda: _succeeds(*kubectl, "-n", "kube-system", "rollout", "status", "deployment/coredns"))
    _VERSION.write_text(version)
    say(f"ready; export KUBECONFIG={KUBECONFIG}")
    return KUBECONFIG


def running() -> Path:
    """The programs of the node that is up, whatever version is asked for now."""
    if not _VERSION.exists():
        raise SystemExit("cluster: there is none: start one with `make cluster-up`")
    return programs.ensure(_VERSION.read_text())


def restart() -> None:
    """Restart the node under its running control plane, as a reboot of the machine does to its pods."""
    bin = running()
    end_node()
    start_kubelet(bin)
    say("the node is started again")


def stop_api() -> None:
    """End the API server; everything that runs goes on without it until ``start_api``."""
    end_named("kube-apiserver")


def kill(container: str) -> None:
    """Kill a container's processes as the kernel does when memory runs out; ``container`` as in a pod's status."""
    name = container.removeprefix("containerd://")
    run(running() / "ctr", "-a", SOCKET, "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", name)


def _unmount() -> None:
    """Unmount everything below the state folder, deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(f"{STATE}/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def down() -> None:
    """End and remove everything an ``up`` made, also one that crashed: processes, cgroups, mounts, network, files."""
    front.stop()
    end_all()
    _unmount()
    network.remove()
    if STATE.exists():
        shutil.rmtree(STATE)
