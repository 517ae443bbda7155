"""``python -m ib_operator`` as a process, and what kubelet learns from its port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import certifi
import httpx
import pytest

from ib_operator.health import Health
from ib_operator.metrics import Metrics
from support.api_server import free_port
from support.operator import operating, says

_AUTHORITY = {"API_CA_FILE": certifi.where()}


@contextmanager
def process(**given: object) -> Iterator[subprocess.Popen[str]]:
    """The operator with ``given`` settings; killed at the end if it is still there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IB_OPERATOR_")}
    environment = clean | {f"IB_OPERATOR_{name}": str(value) for name, value in given.items()}
    command = [sys.executable, "-m", "ib_operator"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def _answers(url: str) -> httpx.Response:
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_lives_without_an_api_server_is_not_ready_and_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    port = free_port()
    with process(NAMESPACES="ns1", HOST="127.0.0.1", PORT=port, API_URL="http://127.0.0.1:9", **_AUTHORITY) as it:
        assert _answers(f"http://127.0.0.1:{port}/livez").text == "ok\n"
        assert _answers(f"http://127.0.0.1:{port}/readyz").status_code == 503
        assert "ibmcp_operator_" in _answers(f"http://127.0.0.1:{port}/metrics").text
        it.send_signal(number)
        assert it.wait(10) == 0


def test_every_wrong_setting_is_named_at_once() -> None:
    with process(NAMESPACES=" , ", PORT=70000) as it:
        _, said = it.communicate(timeout=30)
    assert it.returncode == 2
    assert "IB_OPERATOR_NAMESPACES" in said
    assert "IB_OPERATOR_PORT" in said


def test_a_taken_port_is_said_in_a_sentence() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with process(NAMESPACES="ns1", HOST="127.0.0.1", PORT=port, **_AUTHORITY) as it:
            _, said = it.communicate(timeout=30)
    assert it.returncode == 2
    assert f"127.0.0.1:{port} cannot be opened" in said


async def test_kubelet_is_told_why_it_should_restart_it() -> None:
    problem: list[str] = []
    ready: list[bool] = []
    app: Any = Health(Metrics(), problem=lambda: problem[0] if problem else None, is_ready=lambda: bool(ready))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        found = [(one.status_code, one.text) for path in ("/livez", "/readyz") for one in [await client.get(path)]]
        assert found == [(200, "ok\n"), (503, "not watching yet\n")]
        problem.append("a supervision stands still")
        ready.append(True)
        found = [(one.status_code, one.text) for path in ("/livez", "/readyz") for one in [await client.get(path)]]
        assert found == [(503, "a supervision stands still\n"), (200, "ok\n")]


@pytest.mark.looptime
async def test_a_supervision_that_stands_still_for_three_minutes_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        gone_on = asyncio.Event()

        async def hang(*_: Any) -> None:
            await gone_on.wait()

        monkeypatch.setattr(operated.operator.api, "patch_pod", hang)
        operated.sidecar.status = says("authenticated")
        await asyncio.sleep(170)
        assert operated.operator.controller.problem() is None
        await asyncio.sleep(30)
        assert operated.operator.controller.problem() == "the supervision of ns1/demo-ib-mcp-gateway stands still"
        gone_on.set()
        await asyncio.sleep(1)
        assert operated.operator.controller.problem() is None


@pytest.mark.looptime
async def test_a_watch_that_shows_nothing_of_what_was_written_is_a_problem() -> None:
    async with operating(says("login_required")) as operated:
        await operated.reaches("AwaitingLogin")
        show: Callable[[str], None] = operated.kubernetes.changed
        operated.kubernetes.changed = lambda _: None
        operated.sidecar.status = says("authenticated")
        await operated.reaches("Authenticated")
        await asyncio.sleep(50)
        assert operated.operator.controller.problem() is None
        await asyncio.sleep(20)
        assert [path.split("/")[0] for _, path in operated.kubernetes.writes].count("pods") == 2
        assert operated.operator.controller.problem() == "the watch of pods does not show what was written"
        show("demo-ib-mcp-gateway-0")
        await asyncio.sleep(1)
        assert operated.operator.controller.problem() == "the watch of sessions does not show what was written"
        show("demo")
        await asyncio.sleep(1)
        assert operated.operator.controller.problem() is None
