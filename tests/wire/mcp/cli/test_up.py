"""`ib-mcp up`: what a person sees, what goes on when a part dies, and what is left behind."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support import cli, stack
from support.cli import until

_PATIENCE_S = 30


def state_of(running: stack.Running) -> str | None:
    try:
        answer = httpx.get(f"{running.guard_url}/status", headers={"Authorization": f"Bearer {running.guard_token}"})
    except httpx.TransportError:
        return None
    return str(answer.json()["state"])


def parts(up: subprocess.Popen[Any]) -> dict[str, psutil.Process]:
    """The children of `ib-mcp up` by the module they run."""
    found = {}
    for child in psutil.Process(up.pid).children():
        # One may just be dying, or not have become the module's program yet.
        with suppress(psutil.Error):
            words = child.cmdline()
            if "ib_mcp.cli.child" in words:
                found[words[words.index("ib_mcp.cli.child") + 1]] = child
    return found


def listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    """A stack for tests that only look."""
    with stack.up(tmp_path_factory.mktemp("up")) as running:
        yield running


def test_what_is_printed_can_be_pasted(running: stack.Running) -> None:
    until(lambda: "Ctrl-C" in running.logs[0].read_text())
    facts, rest = running.logs[0].read_text().split("VS Code, in .vscode/mcp.json:\n\n")
    vscode, rest = rest.split("\n\nClaude Code:\n\n")
    header = f"Bearer {running.mcp_token}"
    server = {"type": "http", "url": running.mcp_url, "headers": {"Authorization": header}}
    assert json.loads(vscode) == {"servers": {"ibkr": server}}
    claude = shlex.split(rest.splitlines()[0])
    assert claude[:6] == ["claude", "mcp", "add", "--transport", "http", "ibkr"]
    assert claude[6:] == [running.mcp_url, "--header", f"Authorization: {header}"]
    assert running.login_url in facts
    assert "Session     authenticated (paper)" in facts


def test_what_is_written_leads_to_every_part_and_is_for_its_owner_only(running: stack.Running) -> None:
    assert (running.folder / "up.json").stat().st_mode & 0o077 == 0
    assert state_of(running) == "authenticated"
    assert httpx.get(f"{running.control_url}/readyz").status_code == 200
    assert httpx.get(running.login_url).status_code == 200
    assert httpx.get(f"{running.simulator_control_url}/control/state").json()["role"] == "gateway"
    assert _lists_tools(running)


def test_a_second_up_on_the_same_ports_is_told_of_the_first(running: stack.Running) -> None:
    port = running.mcp_url.split(":")[2].removesuffix("/mcp")
    done = cli.run(running.folder, "up", "--port", port)
    assert done.returncode == 2
    assert f"'ib-mcp up' runs already on port {port}" in done.stderr


def test_every_part_that_is_killed_comes_back_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with stack.up(tmp_path) as running:
        killed = parts(running.process)
        assert set(killed) == {"ib_mcp", "ib_keepalive", "ib_simulator"}
        for child in killed.values():
            child.kill()
        until(lambda: parts(running.process).keys() == killed.keys() and state_of(running) == "authenticated")
        until(lambda: _lists_tools(running))
        said = running.logs[0].read_text()
        for name in ("mcp", "keepalive", "simulator"):
            assert f"{name} ended with exit code -9; starting it again in 0.5 s" in said

        children = parts(running.process)
        assert all(children[name].pid != child.pid for name, child in killed.items())
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(_PATIENCE_S) == 0
    assert not (tmp_path / "up.json").exists()
    assert not any(child.is_running() for child in children.values())


def _lists_tools(running: stack.Running) -> bool:
    headers = {"Authorization": f"Bearer {running.mcp_token}", "Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    try:
        return "get_session_status" in httpx.post(running.mcp_url, json=body, headers=headers).text
    except httpx.TransportError:
        return False


def test_nothing_is_left_when_up_itself_is_killed(tmp_path: Path) -> None:
    with stack.up(tmp_path) as running:
        children = parts(running.process)
        running.process.kill()
        gone, alive = psutil.wait_procs(children.values(), timeout=_PATIENCE_S)
        assert len(gone) == 3
        assert not alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_or_a_closed_terminal_ends_a_start_too(tmp_path: Path, number: signal.Signals) -> None:
    with (tmp_path / "up.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ib_mcp", "up", "--port", "0"],
            env=cli.environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A test run under nohup would hand down that it ignores them.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
    try:
        until(lambda: len(parts(process)) == 3)
        children = parts(process)
        process.send_signal(number)
        assert process.wait(_PATIENCE_S) == 0, (tmp_path / "up.log").read_text()
        assert not any(child.is_running() for child in children.values())
    finally:
        process.kill()
        process.wait()


def test_signed_out_it_leads_to_the_login_page(tmp_path: Path) -> None:
    with stack.up(tmp_path, "--signed-out") as running:
        assert state_of(running) == "login_required"
        until(lambda: "Session     login_required" in running.logs[0].read_text())
        assert httpx.get(running.login_url).status_code == 200
        doctor = cli.run(tmp_path, "doctor")
    assert doctor.returncode == 1
    assert re.search(
        rf"FAILED  sign-in .*\n *-> Sign in with a browser at {re.escape(running.login_url)}", doctor.stdout
    )


def test_a_gateway_that_is_started_later_does_not_hold_up_the_addresses(tmp_path: Path) -> None:
    with listening(0) as probe:
        port = probe.getsockname()[1]
    with stack.up(tmp_path, "--gateway", f"http://127.0.0.1:{port}") as running:
        assert set(parts(running.process)) == {"ib_mcp", "ib_keepalive"}
        assert running.simulator_control_url is None
        assert state_of(running) in ("starting", "unreachable")


def test_taken_ports_are_named_with_who_needs_them_and_the_way_out(tmp_path: Path) -> None:
    with listening(0) as first, listening(0) as second:
        low, high = sorted((first.getsockname()[1], second.getsockname()[1]))
        with_one = cli.run(tmp_path, "up", "--port", str(low - 1))
    assert with_one.returncode == 2
    assert f"{low} (for the guard)" in with_one.stderr
    assert "--port" in with_one.stderr
    assert with_one.stderr.count("\n") == 1
    assert high > low


def test_all_wrong_options_are_named_at_once(tmp_path: Path) -> None:
    options = ["--gateway", "localhost:5000", "--signed-out", "--scenario", "none.yaml", "--write", "none/up.json"]
    done = cli.run(tmp_path, "up", "--port", "70000", *options)
    with listening(0) as busy:
        port = busy.getsockname()[1]
        other = cli.run(tmp_path, "up", "--port", str(port), "--write", str(tmp_path))
    assert other.returncode == 2
    assert f"{port} (for the MCP server)" in other.stderr
    assert f"--write {tmp_path}: this is a folder" in other.stderr
    assert done.returncode == 2
    for option in ("--gateway localhost:5000", "--signed-out", "none.yaml", "none/up.json", "--port 70000"):
        assert option in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scenario_that_the_simulator_refuses_ends_with_its_reason(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("no such key: 1\n")
    done = cli.run(tmp_path, "up", "--port", "0", "--scenario", str(scenario))
    assert done.returncode == 2
    assert "simulator could not start" in done.stderr
    assert "no such key" in done.stderr


def test_a_file_that_another_stack_has_written_meanwhile_stays(tmp_path: Path) -> None:
    with stack.up(tmp_path):
        note = tmp_path / "up.json"
        note.write_text("{}\n")
    assert note.read_text() == "{}\n"


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    done = cli.run(tmp_path, "up", "--port", "0")
    assert done.returncode == 2
    assert str(tmp_path / "state") in done.stderr
    assert "XDG_STATE_HOME" in done.stderr
