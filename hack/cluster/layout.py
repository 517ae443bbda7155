"""Names, addresses and folders of the test cluster: what every other module here agrees on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# 198.18.0.0/15 is set aside for benchmarks (RFC 2544) and never routed.
NETNS = "ib-mcp"
VETH = "ib-mcp0"
HOST_IP = "198.18.0.1"
NODE_IP = "198.18.0.2"
NODE = "node1"
POD_CIDR = "198.18.128.0/17"
SERVICE_CIDR = "198.19.0.0/16"
API_IP = "198.19.0.1"
DNS_IP = "198.19.0.10"

CGROUP = "ib-mcp-cluster"
STATE = Path(os.environ.get("IB_MCP_CLUSTER_STATE", "/var/lib/ib-mcp-cluster"))
CACHE = Path(os.environ.get("IB_MCP_CACHE", Path.home() / ".cache" / "ib-mcp")) / "cluster"
KUBECONFIG = STATE / "pki" / "admin.conf"
SOCKET = STATE / "containerd.sock"


def say(text: str) -> None:
    """A progress line for the person who waits."""
    sys.stderr.write(f"cluster: {text}\n")
    sys.stderr.flush()


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command; what it printed is shown when it fails."""
    given: dict[str, object] = {"check": True, "text": True, "capture_output": True, **options}
    try:
        return subprocess.run([str(word) for word in command], **given)  # type: ignore[call-overload, no-any-return]
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"cluster: {' '.join(map(str, command))}\n{error.stdout or ''}{error.stderr or ''}") from None
