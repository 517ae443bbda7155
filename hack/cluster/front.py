"""A TLS front made from a live Ingress object: nginx stands in for the ingress controller a cluster would have.

``front.start(kubectl, namespace, name)`` reads the Ingress, its TLS Secret and the Service behind it, and serves
the Ingress's hosts on HOST_IP:443 of the cluster's side of the machine.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layout import HOST_IP, STATE
from processes import end, wait

_FOLDER = STATE / "front"


def _get(kubectl: Sequence[str | Path], kind: str, namespace: str, name: str) -> dict[str, Any]:
    command = [*map(str, kubectl), "-n", namespace, "get", kind, name, "-o", "json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _number(service: dict[str, Any], port: dict[str, Any]) -> int:
    """The Service's port that an Ingress backend names or numbers."""
    named = {p["name"]: p["port"] for p in service["spec"]["ports"] if "name" in p}
    return int(named[port["name"]] if "name" in port else port["number"])


def configuration(ingress: dict[str, Any], services: dict[str, dict[str, Any]]) -> str:
    """nginx's configuration for an Ingress; ``services`` by name. Streams pass unbuffered, as MCP needs."""
    servers = []
    for rule in ingress["spec"]["rules"]:
        locations = []
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            service = services[backend["name"]]
            target = f"http://{service['spec']['clusterIP']}:{_number(service, backend['port'])}"
            match = "= " if path["pathType"] == "Exact" else ""
            locations.append(
                f"location {match}{path['path']} {{ proxy_pass {target}; proxy_http_version 1.1; proxy_buffering off;"
                " proxy_set_header Host $host; proxy_set_header Connection '';"
                " proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Forwarded-For $remote_addr;"
                " proxy_read_timeout 3600s; }"
            )
        servers.append(
            f"server {{ listen {HOST_IP}:443 ssl; server_name {rule['host']};"
            f" ssl_certificate {_FOLDER}/tls.crt; ssl_certificate_key {_FOLDER}/tls.key;"
            f" client_max_body_size 4m; {' '.join(locations)} }}"
        )
    return (
        f"pid {_FOLDER}/nginx.pid; error_log {_FOLDER}/error.log; worker_processes 1;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; client_body_temp_path {_FOLDER}/body; proxy_temp_path {_FOLDER}/proxy;"
        f" fastcgi_temp_path {_FOLDER}/fastcgi; uwsgi_temp_path {_FOLDER}/uwsgi; scgi_temp_path {_FOLDER}/scgi;\n"
        + "\n".join(servers)
        + "\n}\n"
    )


def start(kubectl: Sequence[str | Path], namespace: str, name: str) -> None:
    """Serve an Ingress that names one TLS Secret; an earlier front is replaced."""
    stop()
    ingress = _get(kubectl, "ingress", namespace, name)
    backends = {p["backend"]["service"]["name"] for r in ingress["spec"]["rules"] for p in r["http"]["paths"]}
    services = {backend: _get(kubectl, "service", namespace, backend) for backend in backends}
    secret = _get(kubectl, "secret", namespace, ingress["spec"]["tls"][0]["secretName"])["data"]
    _FOLDER.mkdir(exist_ok=True)
    for file in ("tls.crt", "tls.key"):
        (_FOLDER / file).write_bytes(base64.b64decode(secret[file]))
    (_FOLDER / "nginx.conf").write_text(configuration(ingress, services))
    subprocess.run(["nginx", "-c", _FOLDER / "nginx.conf"], check=True)
    wait("the TLS front", (_FOLDER / "nginx.pid").exists)


def stop() -> None:
    """End the front if one runs."""
    pid = _FOLDER / "nginx.pid"
    if pid.exists():
        end([int(pid.read_text())])
