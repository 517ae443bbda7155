"""Certificates and kubeconfigs of the test cluster, made afresh at each start with openssl."""

from __future__ import annotations

import json
from pathlib import Path

from layout import API_IP, NODE, NODE_IP, STATE, run

_SERVER = ",".join(
    [f"DNS:{name}" for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")]
    + [f"IP:{address}" for address in ("127.0.0.1", NODE_IP, API_IP)]
)
_CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
    "controllers": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
}


def _key(path: Path) -> None:
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def sign(folder: Path, authority: Path, name: str, subject: str, extensions: str) -> None:
    """``name``.key and ``name``.crt in ``folder``, signed by the ca.key and ca.crt in ``authority``."""
    key, request, settings = (folder / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
    _key(key)
    settings.write_text(extensions)
    run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request)
    ca = ("-CA", authority / "ca.crt", "-CAkey", authority / "ca.key", "-CAcreateserial")
    run(
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        *ca,
        "-days",
        "30",
        "-extfile",
        settings,
        "-out",
        folder / f"{name}.crt",
    )


def authority(folder: Path, name: str) -> None:
    """A new certificate authority: ca.key and ca.crt in ``folder``."""
    _key(folder / "ca.key")
    run(
        "openssl",
        "req",
        "-x509",
        "-new",
        "-key",
        folder / "ca.key",
        "-subj",
        f"/CN={name}",
        "-days",
        "30",
        "-out",
        folder / "ca.crt",
    )


def _kubeconfig(folder: Path, name: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ib-mcp",
        "clusters": [
            {
                "name": "ib-mcp",
                "cluster": {
                    "server": f"https://{NODE_IP}:6443",
                    "certificate-authority": str(folder / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate": str(folder / f"{name}.crt"),
                    "client-key": str(folder / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "ib-mcp", "context": {"cluster": "ib-mcp", "user": name}}],
    }
    (folder / f"{name}.conf").write_text(json.dumps(config))


def make() -> Path:
    """The folder with every certificate, key and kubeconfig."""
    folder = STATE / "pki"
    folder.mkdir(parents=True, mode=0o700)
    authority(folder, "ib-mcp-cluster")
    sign(folder, folder, "apiserver", "/CN=kube-apiserver", f"subjectAltName={_SERVER}")
    for name, subject in _CLIENTS.items():
        names = f"\nsubjectAltName=DNS:{NODE},IP:{NODE_IP}" if name == "kubelet" else ""
        sign(folder, folder, name, subject, f"extendedKeyUsage=clientAuth,serverAuth{names}")
        _kubeconfig(folder, name)
    _key(folder / "sa.key")
    return folder
