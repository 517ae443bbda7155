"""The cluster's own network namespace, joined to the machine by one veth pair and two routes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from layout import HOST_IP, NETNS, NODE_IP, POD_CIDR, SERVICE_CIDR, VETH, run

# `ip netns exec` would mount a fresh /sys, in which the kubelet finds no cgroups.
ENTER = ("nsenter", f"--net=/run/netns/{NETNS}")


def make() -> None:
    run("ip", "netns", "add", NETNS)
    run("ip", "link", "add", VETH, "type", "veth", "peer", "name", "eth0", "netns", NETNS)
    run("ip", "address", "add", f"{HOST_IP}/30", "dev", VETH)
    run("ip", "link", "set", VETH, "up")
    for command in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "address", "add", f"{NODE_IP}/30", "dev", "eth0"),
        ("ip", "link", "set", "eth0", "up"),
        ("ip", "route", "add", "default", "via", HOST_IP),
        # a pod that is gone is refused at once; the default route would send its packets in a circle
        ("ip", "route", "add", "unreachable", POD_CIDR),
        ("sysctl", "-qw", "net.ipv4.ip_forward=1"),
    ):
        run(*ENTER, *command)
    for cidr in (POD_CIDR, SERVICE_CIDR):
        run("ip", "route", "replace", cidr, "via", NODE_IP)


def remove() -> None:
    """Delete the namespace; its interfaces and the machine's routes through them go with it."""
    subprocess.run(["ip", "link", "delete", VETH], check=False, capture_output=True)
    if Path(f"/run/netns/{NETNS}").exists():
        run("ip", "netns", "delete", NETNS)


def processes() -> list[int]:
    """Ids of the processes that live in the namespace."""
    if not Path(f"/run/netns/{NETNS}").exists():
        return []
    return [int(pid) for pid in run("ip", "netns", "pids", NETNS).stdout.split()]
