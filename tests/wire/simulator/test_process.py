"""``python -m ib_simulator`` as a process."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme


def start(**settings: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IB_SIMULATOR_")}
    environment |= {f"IB_SIMULATOR_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen([sys.executable, "-m", "ib_simulator"], env=environment, stderr=subprocess.PIPE, text=True)


@contextmanager
def running(**settings: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The process and what its first log line says: url and control_url."""
    with start(**settings) as process:
        try:
            assert process.stderr is not None
            yield process, json.loads(process.stderr.readline())
        finally:
            process.kill()


def refusal(**settings: str) -> tuple[int, str]:
    """Exit code and stderr of a process that does not start."""
    with start(**settings) as process:
        _, errors = process.communicate(timeout=20)
        return process.returncode, errors


def test_it_serves_both_ports_and_stops_at_once_with_an_open_connection():
    with running() as (process, told), httpx.Client(base_url=told["url"]) as client:
        assert client.get("/v1/api/iserver/auth/status").json()["authenticated"] is True
        assert httpx.get(f"{told['control_url']}/control/state").json()["session"]["user"] == "paper"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=3) == 0


def test_its_faults_work_on_the_process_too():
    with running(limits="false") as (process, told), httpx.Client(base_url=told["url"]) as client:
        control = f"{told['control_url']}/control"
        httpx.post(f"{control}/faults", json={"kind": "reset", "count": 1}).raise_for_status()
        with pytest.raises(httpx.ReadError):
            client.get("/v1/api/tickle")
        httpx.post(f"{control}/faults", json={"kind": "refuse"}).raise_for_status()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{told['url']}/v1/api/tickle")
        httpx.delete(f"{control}/faults").raise_for_status()
        assert client.get("/v1/api/tickle").status_code == 200
        httpx.post(f"{control}/faults", json={"kind": "hang"}).raise_for_status()
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/api/tickle", timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=3) == 0


def test_it_can_start_signed_out_as_backend_over_tls(tmp_path: Path):
    authority = trustme.CA()
    served = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    served.cert_chain_pems[0].write_to_path(certificate)
    served.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    settings = {"role": "backend", "signed_in": "none", "tls_cert_file": str(certificate), "tls_key_file": str(key)}
    with running(**settings) as (_, told):
        assert told["url"].startswith("https://")
        context = ssl.create_default_context(cafile=trusted)
        assert httpx.get(f"{told['url']}/v1/api/tickle", verify=context).status_code == 401


@pytest.mark.parametrize("setting", ["port", "control_port"])
def test_a_taken_port_ends_it_with_a_sentence(setting: str):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, errors = refusal(**{setting: str(port)})
    assert code == 2
    sentence = f"Cannot listen on 127.0.0.1:{port} (Address already in use); set IB_SIMULATOR_"
    assert errors.splitlines() == [f"{sentence}{setting.upper()} to a free port."]


def test_wrong_settings_are_named_together():
    code, errors = refusal(role="moon", seed="x")
    assert code == 2
    assert "IB_SIMULATOR_ROLE: Input should be 'gateway' or 'backend'" in errors
    assert "IB_SIMULATOR_SEED" in errors


def test_a_wrong_scenario_ends_it_with_file_line_and_step(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps:\n  - {at: 1s, do: explode}\n")
    code, errors = refusal(scenario=str(path))
    assert code == 2
    assert errors.startswith("IB_SIMULATOR_SCENARIO: mine.yaml, line 2, step 1: there is no action 'explode'")


def test_a_missing_certificate_ends_it_with_a_sentence(tmp_path: Path):
    code, errors = refusal(tls_cert_file=str(tmp_path / "none.pem"))
    assert code == 2
    assert "IB_SIMULATOR_TLS_CERT_FILE and IB_SIMULATOR_TLS_KEY_FILE cannot be used" in errors
