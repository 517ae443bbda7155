"""A PostgreSQL server of Debian's, for one test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.api_server import free_port
from support.programs import Unavailable


@dataclass
class Postgres:
    """``url``: with password; ``stop`` and ``start`` it in between."""

    url: str
    _command: list[str]
    _given: dict[str, Any]

    def start(self) -> None:
        self._run("-w", "start")

    def stop(self) -> None:
        self._run("-m", "fast", "-w", "stop")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._command, *arguments], check=True, stdout=subprocess.DEVNULL, **self._given)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise Unavailable("PostgreSQL is not installed")
    return folders[-1]


@contextmanager
def serving() -> Iterator[Postgres]:
    """Unavailable where there is none."""
    programs = _programs()
    given: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ib-mcp-postgres-", dir="/tmp") as folder:
        if os.geteuid() == 0:
            # It does not run as root.
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise Unavailable("there is no user postgres, and PostgreSQL does not run as root") from None
            os.chown(folder, user.pw_uid, user.pw_gid)
            given = {"user": "postgres", "group": "postgres", "cwd": folder}
        password, port, data = secrets.token_hex(8), free_port(), f"{folder}/data"
        secret = Path(folder, "password")
        secret.write_text(password)
        secret.chmod(0o644)
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=ib", "--no-sync", "--locale=C"]
        made = [programs / "initdb", *options, "-D", data]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, **given)
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        command = [str(programs / "pg_ctl"), "-D", data, "-o", settings, "-l", f"{folder}/log"]
        server = Postgres(f"postgresql://ib:{password}@127.0.0.1:{port}/postgres", command, given)
        server.start()
        try:
            yield server
        finally:
            subprocess.run([*command, "-m", "immediate", "stop"], check=False, capture_output=True, **given)
