"""The TLS front of the test cluster, seen from an agent's side."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import trustme

_CLUSTER = Path(__file__).resolve().parents[2] / "hack/cluster"
HOST = "ib-mcp.example.test"


def _cluster() -> Any:
    """The modules of hack/cluster, which is a program and no package."""
    if str(_CLUSTER) not in sys.path:
        sys.path.append(str(_CLUSTER))
    import front
    import layout

    return front, layout


def certificate(folder: Path) -> Path:
    """A test authority in ``folder`` with tls.crt and tls.key for the front's host; the authority's certificate."""
    authority = trustme.CA()
    served = authority.issue_cert(HOST)
    (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in served.cert_chain_pems))
    (folder / "tls.key").write_bytes(served.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    return folder / "ca.crt"


@contextmanager
def serving(namespace: str, ingress: str) -> Iterator[None]:
    """nginx in front of an Ingress, its host resolving to it in this process."""
    front, layout = _cluster()
    front.start(["kubectl"], namespace, ingress)
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return real(layout.HOST_IP if host in (HOST, HOST.encode()) else host, *arguments, **options)

    try:
        with mock.patch("socket.getaddrinfo", resolve):
            yield
    finally:
        front.stop()
