"""IBKR's real gateway program, run as the image runs it: same configuration, JVM options, log file and bind shim."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
from cryptography.x509 import load_pem_x509_certificate

from support import programs

IMAGE = Path(__file__).parents[2] / "images/gateway"
BACKEND_NAME = "api.ibkr.com"
START_SECONDS = 60
_STORE_PASSWORD = "changeit"


def need_programs() -> None:
    """Skip where IBKR's program, or what runs it, cannot be had."""
    try:
        programs.java()
        programs.compiler()
        programs.gateway()
    except programs.Unavailable as reason:
        pytest.skip(str(reason))


class Authority:
    """A certificate authority of the test run and IBKR's certificate by it, as files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        served = authority.issue_cert(BACKEND_NAME)
        self.certificate, self.key, self.trust_store = (folder / name for name in ("ibkr.pem", "ibkr.key", "trust.p12"))
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in served.cert_chain_pems))
        self.key.write_bytes(served.private_key_pem.bytes())
        root = PKCS12Certificate(load_pem_x509_certificate(authority.cert_pem.bytes()), b"test")
        self.trust_store.write_bytes(
            serialize_java_truststore([root], BestAvailableEncryption(_STORE_PASSWORD.encode()))
        )


@dataclass
class Gateway:
    """A gateway program in ``folder``, listening on ``port`` after :meth:`start`; ``log`` is all that it prints.

    Its backend is ``https://api.ibkr.com:backend_port``, a name that leads to this machine. ``opens_brokerage``: it
    opens the brokerage session by itself after a sign-in, as IBKR's own configuration has it (without the wait).
    ``java_options`` come after the image's own.
    """

    folder: Path
    backend_port: int
    authority: Authority
    port: int = field(default_factory=lambda: free_port())
    opens_brokerage: bool = False
    java_options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    @property
    def working_folder(self) -> Path:
        """Where it would write, did it write."""
        return self.folder / "run"

    def start(self) -> None:
        """Returns when it accepts connections; RuntimeError with its log when it does not."""
        program = programs.gateway()
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 {BACKEND_NAME} localhost {socket.gethostname()}\n")
        (self.folder / "conf").mkdir(exist_ok=True)
        self.working_folder.mkdir(exist_ok=True)
        (self.folder / "conf/conf.yaml").write_text(
            render(
                LISTEN_PORT=str(self.port),
                BACKEND=f"https://{BACKEND_NAME}:{self.backend_port}",
                **({"AUTH_DELAY_MS": "1"} if self.opens_brokerage else {}),
            )
        )
        class_path = f"{self.folder / 'conf'}:{program / programs.GATEWAY_JAR}:{program / 'build/lib/runtime'}/*"
        command = [
            programs.java(),
            f"@{IMAGE / 'jvm.options'}",
            f"-Dlogback.configurationFile={IMAGE / 'logback.xml'}",
            f"-Djdk.net.hosts.file={hosts}",
            f"-Djavax.net.ssl.trustStore={self.authority.trust_store}",
            f"-Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD}",
            *self.java_options,
            *("-cp", class_path, "ibgroup.web.core.clientportal.gw.GatewayStart", "--conf", "conf.yaml"),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.working_folder,
                env={"LD_PRELOAD": str(_compile_shim(self.folder))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the gateway does not listen on {self.port}:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def render(**values: str) -> str:
    """conf.yaml as the image renders it, with ``values`` in place of the image's."""
    command = [str(IMAGE / "render-conf")]
    return subprocess.run(command, env=values, capture_output=True, text=True, check=True).stdout


def _compile_shim(folder: Path) -> Path:
    shim = folder / "loopback.so"
    command = [programs.compiler(), "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, IMAGE / "loopback.c"]
    subprocess.run(command, check=True)
    return shim


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
