"""``python -m ib_keepalive`` as a process: start, stop, and refusing to start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

TOKEN = "token-of-tests"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


@contextmanager
def keepalive(**given: object) -> Iterator[subprocess.Popen[str]]:
    """The process with ``given`` settings; killed at the end if it is still there."""
    settings = {"GATEWAY_URL": "http://127.0.0.1:9", "TOKEN": TOKEN, "DATA_PORT": 0, "CONTROL_PORT": 0, "LOGIN_PORT": 0}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IB_KEEPALIVE_")}
    environment = clean | {f"IB_KEEPALIVE_{name}": str(value) for name, value in (settings | given).items()}
    with subprocess.Popen(
        [sys.executable, "-m", "ib_keepalive"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ports(process: subprocess.Popen[str]) -> dict[str, int]:
    """What it says it listens on."""
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line)
        if said["event"] == "listening":
            return {name: said[name] for name in ("data", "control", "login")}
    raise AssertionError("it ended before it listened")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_three_ports_and_stops_cleanly_on_a_signal(number: signal.Signals) -> None:
    with keepalive() as process:
        listening = ports(process)
        assert httpx.get(f"http://127.0.0.1:{listening['control']}/livez").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{listening['data']}/healthz").status_code == 200
        assert "Looking" in httpx.get(f"http://127.0.0.1:{listening['login']}/").text
        process.send_signal(number)
        _, rest = process.communicate(timeout=3)
        assert process.returncode == 0
        assert "Traceback" not in rest
        assert all(json.loads(line) for line in rest.splitlines())


def test_stops_in_time_with_a_request_under_way() -> None:
    with socket.socket() as gateway:
        gateway.bind(("127.0.0.1", 0))
        gateway.listen()
        with keepalive(GATEWAY_URL=f"http://127.0.0.1:{gateway.getsockname()[1]}") as process:
            login = ports(process)["login"]
            with socket.create_connection(("127.0.0.1", login)) as browser:
                browser.sendall(b"GET /sso/Login HTTP/1.1\r\nHost: localhost\r\n\r\n")
                with gateway.accept()[0], gateway.accept()[0]:
                    process.terminate()
                    process.communicate(timeout=3)
        assert process.returncode == 0


@pytest.mark.parametrize("name", ["DATA", "CONTROL", "LOGIN"])
def test_taken_port_is_told_in_a_sentence(name: str, taken_port: int) -> None:
    with keepalive(**{f"{name}_PORT": taken_port}) as process:
        _, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert told == f"The {name.lower()} port 127.0.0.1:{taken_port} cannot be opened: Address already in use.\n"


def test_missing_settings_are_named_together() -> None:
    with keepalive(GATEWAY_URL="", TOKEN="") as process:
        _, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "IB_KEEPALIVE_GATEWAY_URL" in told
    assert "IB_KEEPALIVE_TOKEN" in told


def test_defect_in_the_keeper_ends_the_process_so_that_it_is_restarted() -> None:
    code = (
        "import ib_keepalive.session.tracker as k, ib_keepalive.__main__ as m\n"
        "def broken(*_, **__): raise RuntimeError('a defect')\n"
        "k.decide = broken\n"
        "m.main()\n"
    )
    environment = {**os.environ, "IB_KEEPALIVE_GATEWAY_URL": "http://127.0.0.1:9", "IB_KEEPALIVE_TOKEN": TOKEN}
    environment |= {f"IB_KEEPALIVE_{name}_PORT": "0" for name in ("DATA", "CONTROL", "LOGIN")}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    last = json.loads(ended.stderr.splitlines()[-1])
    assert last["event"] == "the keepalive failed"
    assert "a defect" in last["exception"]
