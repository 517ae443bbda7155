"""Images without a registry: archives go straight into containerd; the two that the node needs are made here."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from layout import SOCKET, STATE, run
from settings import PAUSE_IMAGE

DNS_IMAGE = "ib-mcp.test/coredns:1"


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def one_program(program: Path, image: str, target: Path) -> Path:
    """A docker-archive of an image that holds one static program and nothing else."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        _add(files, program.name, program.read_bytes(), 0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[run("uname", "-m").stdout.strip()]
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [image], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, name, config)
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return target


def load(programs: Path, *archives: Path) -> None:
    """Import archives into the running node."""
    for archive in archives:
        run(programs / "ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import", archive)


def load_own(programs: Path) -> None:
    """Import the pause and DNS images."""
    for program, image in (("pause", PAUSE_IMAGE), ("coredns", DNS_IMAGE)):
        load(programs, one_program(programs / program, image, STATE / f"{program}.tar"))
