"""Configuration files of the node's programs. Each value that is not a default has its reason beside it."""

from __future__ import annotations

import json
from pathlib import Path

from layout import CGROUP, DNS_IP, NODE, POD_CIDR, SOCKET, STATE

PAUSE_IMAGE = "ib-mcp.test/pause:1"


def _containerd() -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower the score and fails to start any container.
    # netns under the state folder: a crash leaves no pod namespaces in the machine's own folder.
    return f"""version = 3
root = "{STATE}/containerd"
state = "{STATE}/containerd-run"
[grpc]
  address = "{SOCKET}"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{STATE}/cni"
"""


def _cni() -> dict[str, object]:
    # ptp routes every packet between pods through the node's forward chain, where policies are enforced.
    addresses = {
        "type": "host-local",
        "dataDir": f"{STATE}/addresses",
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}


def _kubelet(pki: Path, version: tuple[int, ...]) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # newer ones run on cgroup v1 only when told so, and 1.30 does not know the field
        **({"failCgroupV1": False} if version >= (1, 31) else {}),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(STATE / "resolv.conf"),
        "evictionHard": {"memory.available": "100Mi"},
        "enforceNodeAllocatable": [],
        "podLogsDir": str(STATE / "pod-logs"),
        "failSwapOn": False,
    }


def _proxy(pki: Path, version: tuple[int, ...]) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "featureGates": {} if version >= (1, 31) else {"NFTablesProxyMode": True},  # alpha in 1.30
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(pki / "proxy.conf")},
        "hostnameOverride": NODE,
        "conntrack": {"maxPerCore": 0},  # the namespace may not change the machine's limits
    }


def write(pki: Path, kubernetes: str) -> None:
    """Write every configuration file for a Kubernetes version, such as 1.37, into the state folder."""
    version = tuple(map(int, kubernetes.split(".")))
    (STATE / "cni").mkdir()
    (STATE / "containerd.toml").write_text(_containerd())
    (STATE / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    for path, content in (
        ("cni/10-pods.conflist", _cni()),
        ("kubelet.json", _kubelet(pki, version)),
        ("proxy.json", _proxy(pki, version)),
    ):
        (STATE / path).write_text(json.dumps(content))
