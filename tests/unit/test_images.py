"""How the images are built: pinned bases and dependencies, one package each, a plain user, a health command."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support import programs

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY / "images"
FILES = (*IMAGES.glob("*/Containerfile"), REPOSITORY / "operator/Containerfile")
CONTAINERFILES = {path.parent.name: path for path in FILES}
JAR = Path("dist/ibgroup.web.core.iblink.router.clientportal.gw.jar")
OTHER_JAR = Path("build/lib/runtime/other.jar")


def lines(part: str) -> list[str]:
    """A Containerfile's instructions, continued lines joined."""
    text = CONTAINERFILES[part].read_text().replace("\\\n", " ")
    return [re.sub(r"\s+", " ", line) for line in text.splitlines() if line and not line.startswith("#")]


def value(part: str, instruction: str) -> str:
    (found,) = (line.removeprefix(f"{instruction} ") for line in lines(part) if line.startswith(f"{instruction} "))
    return found


every_image = pytest.mark.parametrize("part", sorted(CONTAINERFILES))


def test_each_part_has_an_image() -> None:
    assert set(CONTAINERFILES) == {"gateway", "keepalive", "mcp", "operator", "simulator"}


@every_image
def test_bases_are_arguments_whose_defaults_are_named_by_digest(part: str) -> None:
    defaults = [line for line in lines(part) if re.match(r"ARG (BASE|BUILD)_IMAGE=", line)]
    assert len(defaults) == 2
    for line in defaults:
        assert re.search(r"=\S+/\S+:\S+@sha256:[0-9a-f]{64}$", line) or line == "ARG BUILD_IMAGE=${BASE_IMAGE}", line
    stages = [line for line in lines(part) if line.startswith("FROM ")]
    assert stages == ["FROM ${BUILD_IMAGE} AS build", "FROM ${BASE_IMAGE}"]


@every_image
def test_an_image_runs_its_program_itself_without_rights_and_says_how_it_is(part: str) -> None:
    assert value(part, "USER") == "65532:65532"
    for instruction in ("ENTRYPOINT", "HEALTHCHECK CMD"):  # a list of words: no shell stands between
        assert len(json.loads(value(part, instruction))) > 1
    last_stage = lines(part)[lines(part).index("FROM ${BASE_IMAGE}") :]
    assert not [line for line in last_stage if line.startswith("RUN ")]
    labels = re.findall(r"org\.opencontainers\.image\.(\w+)=", value(part, "LABEL"))
    assert {"title", "description", "version", "revision"} <= set(labels)


@pytest.mark.parametrize("part", sorted(CONTAINERFILES.keys() - {"gateway"}))
def test_an_image_holds_its_own_package_and_the_shared_one_with_locked_dependencies(part: str) -> None:
    copied = [line.split()[1:] for line in lines(part) if line.startswith("COPY ")]
    source = "operator" if part == "operator" else f"images/{part}"
    assert copied == [
        [f"requirements/{part}.txt", "/build/"],
        ["ibkr", "/app/ibkr"],
        ["ib_service", "/app/ib_service"],
        [f"{source}/ib_{part}", f"/app/ib_{part}"],
        ["--from=build", "/app", "/app"],
    ]
    (install,) = (line for line in lines(part) if "pip install" in line)
    assert "--require-hashes" in install
    assert "--no-deps" in install


def fetch(url: str, checksum: str, folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(IMAGES / "gateway/fetch"), url, checksum, str(folder), str(target)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def program(folder: Path) -> str:
    """What stands for IBKR's program; its checksum."""
    for name in (JAR, OTHER_JAR, Path("root/conf.yaml")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(str(name))
    sums = "".join(f"{hashlib.sha256(str(jar).encode()).hexdigest()}  {jar}\n" for jar in (OTHER_JAR, JAR))
    return hashlib.sha256(sums.encode()).hexdigest()


def test_the_program_comes_from_the_owners_folder_and_its_build_is_written_down(tmp_path: Path) -> None:
    checksum = program(tmp_path / "own")
    done = fetch("http://localhost:1/unused", checksum, tmp_path / "own", tmp_path / "image")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "image" / JAR).is_file()
    assert not (tmp_path / "image/root").exists()
    build = (tmp_path / "image/BUILD").read_text()
    assert re.fullmatch(rf"sha256:{checksum[:16]} built \d{{4}}-\d\d-\d\d", build)


def test_without_a_folder_the_program_is_downloaded(tmp_path: Path) -> None:
    checksum = program(tmp_path / "away")
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as archive:
        for path in (tmp_path / "away").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path / "away"))
    done = fetch((tmp_path / "program.zip").as_uri(), checksum, tmp_path / "none", tmp_path / "image")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "image" / JAR).is_file()


def test_another_program_than_the_tested_one_is_refused_unless_asked_for(tmp_path: Path) -> None:
    checksum = program(tmp_path / "own")
    refused = fetch("http://localhost:1/unused", "0" * 64, tmp_path / "own", tmp_path / "image")
    assert refused.returncode != 0
    assert f"--build-arg GATEWAY_SHA256={checksum}" in refused.stderr
    assert not (tmp_path / "image").exists()
    assert fetch("http://localhost:1/unused", "any", tmp_path / "own", tmp_path / "image").returncode == 0


def test_a_program_with_one_other_jar_is_another_program(tmp_path: Path) -> None:
    checksum = program(tmp_path / "own")
    (tmp_path / "own" / OTHER_JAR).write_text("something else")
    refused = fetch("http://localhost:1/unused", checksum, tmp_path / "own", tmp_path / "image")
    assert refused.returncode != 0
    assert "IBKR has changed it" in refused.stderr


def test_the_tested_program_is_the_one_that_the_image_takes(tmp_path: Path) -> None:
    try:
        folder = programs.gateway()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    (default,) = (line.partition("=")[2] for line in lines("gateway") if line.startswith("ARG GATEWAY_SHA256="))
    done = fetch("http://localhost:1/unused", default, folder, tmp_path / "image")
    assert done.returncode == 0, done.stderr


def test_the_gateways_health_command_tells_whether_its_port_is_open(tmp_path: Path) -> None:
    try:
        compiler = programs.compiler()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))
    listens = tmp_path / "listens"
    subprocess.run([compiler, "-Wall", "-Werror", "-o", listens, IMAGES / "gateway/listens.c"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert subprocess.run([listens, port], check=False).returncode == 0
    closed = subprocess.run([listens, port], check=False, capture_output=True, text=True)
    assert closed.returncode == 1
    assert "refused" in closed.stderr
