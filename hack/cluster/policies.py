"""Enforces the cluster's NetworkPolicies with nftables rules on the node.

Runs inside the cluster's network namespace: ``policies.py KUBECTL KUBECONFIG``. Pods are joined by routed links, so
everything between two pods, and between a pod and the outside, passes the forward chain, and what a pod sends to the
node the input chain; what the node itself sends (probes) passes neither, as in any cluster.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import time
from typing import Any

Object = dict[str, Any]
_REFRESH_S = 0.5
_EGRESS, _INGRESS = 0x10000, 0x20000
_BOTH = _EGRESS | _INGRESS


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector picks an object with these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for term in selector.get("matchExpressions", []):
        key, values = term["key"], term.get("values", [])
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[term["operator"]]
        if not holds:
            return False
    return True


def _addresses(peer: Object, namespace: str, pods: list[Object], namespaces: dict[str, dict[str, str]]) -> list[str]:
    """The addresses and blocks that one ``from`` or ``to`` entry names."""
    if block := peer.get("ipBlock"):
        # The cluster has addresses of version 4 only.
        left = [ipaddress.IPv4Network(block["cidr"])]
        for text in block.get("except", []):
            hole = ipaddress.IPv4Network(text)
            left = [p for n in left for p in (n.address_exclude(hole) if hole.subnet_of(n) else [n])]
        return [str(network) for network in left]
    found = []
    for pod in pods:
        home = pod["metadata"]["namespace"]
        where = peer.get("namespaceSelector")
        near = home == namespace if where is None else selects(where, namespaces.get(home, {}))
        if near and selects(peer.get("podSelector") or {}, pod["metadata"].get("labels", {})):
            found.append(pod["status"]["podIP"])
    return found


def _ports(rule: Object, targets: list[Object]) -> list[str]:
    """nftables matches for a rule's ports; a named port is looked up in the pods that it opens."""
    if not rule.get("ports"):
        return [""]
    found = []
    for port in rule["ports"]:
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        if number is None:
            found.append(f"meta l4proto {protocol} ")
        elif isinstance(number, int):
            found.append(f"{protocol} dport {number}-{port.get('endPort', number)} ")
        else:
            declared = (p for pod in targets for c in containers(pod) for p in c.get("ports", []))
            found += sorted({f"{protocol} dport {p['containerPort']} " for p in declared if p.get("name") == number})
    return found


def containers(pod: Object) -> list[Object]:
    """Every container of a pod, sidecars included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def ruleset(policies: list[Object], pods: list[Object], namespaces: dict[str, dict[str, str]]) -> str:
    """The nftables table that enforces ``policies`` over ``pods``; ``namespaces`` maps a name to its labels."""
    pods = [pod for pod in pods if pod.get("status", {}).get("podIP") and not pod["spec"].get("hostNetwork")]
    lines = ["ct state established,related accept"]
    isolated: dict[str, set[str]] = {"saddr": set(), "daddr": set()}
    allowed: dict[str, list[str]] = {"saddr": [], "daddr": []}
    for policy in policies:
        spec, home = policy["spec"], policy["metadata"]["namespace"]
        near = [pod for pod in pods if pod["metadata"]["namespace"] == home]
        chosen = [pod for pod in near if selects(spec.get("podSelector", {}), pod["metadata"].get("labels", {}))]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
        for kind, own, other, peers in (("Ingress", "daddr", "saddr", "from"), ("Egress", "saddr", "daddr", "to")):
            if kind not in types:
                continue
            isolated[own] |= {pod["status"]["podIP"] for pod in chosen}
            for rule in spec.get(kind.lower(), []):
                reach = [""]
                if named := rule.get(peers):
                    found = (address for peer in named for address in _addresses(peer, home, pods, namespaces))
                    reach = [f"ip {other} {address} " for address in found]
                for pod in chosen:
                    ports = _ports(rule, [pod] if kind == "Ingress" else pods)
                    allowed[own] += [f"ip {own} {pod['status']['podIP']} {r}{p}" for r in reach for p in ports]
    # A packet passes when both ends let it: each sets its bit. The other bits of the mark are kube-proxy's.
    for own, bit in (("saddr", _EGRESS), ("daddr", _INGRESS)):
        free = f"ip {own} != {{ {', '.join(sorted(isolated[own]))} }} " if isolated[own] else ""
        lines.append(f"{free}meta mark set meta mark or {bit}")
        lines += [f"{match}meta mark set meta mark or {bit}" for match in dict.fromkeys(allowed[own])]
    lines.append(f"meta mark and {_BOTH:#x} != {_BOTH:#x} drop")
    lines.insert(0, f"meta mark set meta mark and {~_BOTH & 0xFFFFFFFF:#x}")
    # input: what a pod sends to the node itself, the API server included
    hooks = [f"chain {hook} {{ type filter hook {hook} priority 10; jump decide; }}" for hook in ("forward", "input")]
    table = "\n  ".join(["chain decide {", *(f"  {line}" for line in lines), "}", *hooks])
    return f"table ip policies\ndelete table ip policies\ntable ip policies {{\n  {table}\n}}\n"


def main(kubectl: str, kubeconfig: str) -> None:
    applied = ""
    kinds = "networkpolicies.networking.k8s.io,pods,namespaces"
    while True:
        answer = subprocess.run(
            [kubectl, "--kubeconfig", kubeconfig, "get", kinds, "-A", "-o", "json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode == 0:
            objects: dict[str, list[Object]] = {}
            for item in json.loads(answer.stdout)["items"]:
                objects.setdefault(item["kind"], []).append(item)
            labels = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in objects.get("Namespace", [])}
            wanted = ruleset(objects.get("NetworkPolicy", []), objects.get("Pod", []), labels)
            if wanted != applied:
                subprocess.run(["nft", "-f", "-"], input=wanted, text=True, check=True)
                applied = wanted
        time.sleep(_REFRESH_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
