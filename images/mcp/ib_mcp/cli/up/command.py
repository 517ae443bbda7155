"""`ib-mcp up`: simulator (or a given gateway), keepalive and MCP server on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ib_mcp.cli import state
from ib_mcp.cli.console import say
from ib_mcp.cli.http import answers
from ib_mcp.cli.stack import (
    LISTENERS,
    Stack,
    TradingFiles,
    addresses,
    free_ports,
    is_taken,
    listeners,
    not_a_gateway,
    parts,
)
from ib_mcp.cli.supervisor import Supervisor
from ib_mcp.cli.up.snippets import summary
from ib_mcp.cli.up.trading import prepare

_NEEDED = ("fastmcp", "httpx_aiohttp", "prometheus_client", "uvicorn", "yaml")
_LOOK_S = 0.05
_PROGRESS_S = 2.0
_SESSION_S = 2.0
_SETTLE_S = 3.0
_TAIL_LINES = 5
_LAST_FIRST_PORT = 65536 - len(LISTENERS)


def run(given: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM; 0 then, 2 when something given or installed is wrong, 1 when a part cannot start."""
    needed = listeners(given.gateway)
    ports = list(range(given.port, given.port + len(needed))) if given.port else free_ports(len(needed))
    problems = wrong(given)
    if _is_first_port(given.port):
        problems += taken(ports, needed)
    tokens = ("", "")
    try:
        tokens = (state.token("mcp"), state.token("guard"))
    except OSError as error:
        problems.append(
            f"Cannot keep the tokens in {state.folder()}: {error.strerror}; set XDG_STATE_HOME to a folder."
        )
    if problems:
        for problem in problems:
            say(problem)
        return 2
    stack = addresses(ports, tokens, given.gateway)
    logs = state.folder() / "logs" / str(ports[0])
    record = state.record(given.gateway) if given.gateway else None
    try:
        trading = _trading(given, ports[0])
    except (OSError, UnicodeDecodeError) as error:
        say(f"The trading policy in {state.trading(given.gateway, ports[0])} cannot be made: {error}")
        return 2
    stack = replace(stack, trades=trading is not None)
    children = parts(
        stack,
        ports,
        signed_out=given.signed_out,
        scenario=given.scenario,
        record=record,
        tokens=state.tokens(),
        trading=trading,
    )
    supervisor = Supervisor(children, logs, _tell_end(logs))
    with _asked_to_stop() as stop, supervisor:
        session = _start(stack, supervisor, stop)
        # Before the look at what failed: a part that dies in between is started again.
        supervisor.steady()
        if supervisor.failed:
            return 2 if 2 in supervisor.failed.values() else 1
        if stop.is_set():
            return 0
        with ExitStack() as notes:
            notes.enter_context(state.running_note(stack))
            if given.write:
                notes.enter_context(_written(given.write, stack))
            sys.stdout.write(summary(stack, session, str(logs), None if trading is None else str(trading.policy)))
            sys.stdout.flush()
            _watch(stack, session, supervisor, stop)
        say("stopping")
    return 0


def _trading(given: argparse.Namespace, port: int) -> TradingFiles | None:
    """What a stack that trades needs, made on first use; None where it does not trade."""
    if given.trading is None:
        return None
    folder = state.trading(given.gateway, port)
    policy = prepare(folder, given.trading, is_new_account=given.gateway is None)
    state.token("approver")
    return TradingFiles(policy, folder, state.token_file("approver"))


def wrong(given: argparse.Namespace) -> list[str]:
    """Everything about the options and the installation that makes a start pointless, a sentence each."""
    problems = []
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        problems.append(
            f"Not installed: {', '.join(missing)}; install the extra 'run' of ib-mcp (in a checkout: make up)."
        )
    if given.gateway is not None:
        if problem := not_a_gateway(given.gateway):
            problems.append(problem)
        if given.signed_out or given.scenario:
            problems.append("--signed-out and --scenario are for the simulator and do not go with --gateway.")
    if given.scenario and not given.scenario.is_file():
        problems.append(f"--scenario {given.scenario}: there is no such file.")
    if given.write:
        folder = given.write.absolute().parent
        if given.write.is_dir():
            problems.append(f"--write {given.write}: this is a folder, not a file.")
        elif not os.access(folder, os.W_OK):
            problems.append(f"--write {given.write}: there is no folder {folder} that you may write to.")
    if not _is_first_port(given.port):
        problems.append(f"--port {given.port}: not a port between 0 and {_LAST_FIRST_PORT}.")
    return problems


def _is_first_port(port: int) -> bool:
    return 0 <= port <= _LAST_FIRST_PORT


def taken(ports: list[int], needed: tuple[str, ...]) -> list[str]:
    """A sentence that names the ports which others hold, or nothing."""
    held = [f"{port} (for the {name})" for port, name in zip(ports, needed, strict=True) if is_taken(port)]
    if not held:
        return []
    if ports[0] in (stack.port for stack in state.running()):
        return [f"'ib-mcp up' runs already on port {ports[0]}; stop that one, or start another with --port N."]
    return [
        f"Taken by another program: port {', '.join(held)}; choose others with --port N, or --port 0 for free ones."
    ]


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM or a closed terminal sets."""
    stop = threading.Event()
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to outlive the terminal
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _written(path: Path, stack: Stack) -> Iterator[None]:
    state.write_private(path, stack.to_json())
    try:
        yield
    finally:
        # Another stack may have written its own there meanwhile.
        if path.is_file() and path.read_text("utf-8") == stack.to_json():
            path.unlink()


def _start(stack: Stack, supervisor: Supervisor, stop: threading.Event) -> str:
    """Wait until the parts answer; the session then, or "" when one failed or the person gave up."""
    begun = time.monotonic()
    told = _PROGRESS_S
    answered_at = None
    while not stop.wait(_LOOK_S) and not supervisor.failed:
        now = time.monotonic()
        session = _session(stack)
        waiting = ["keepalive"] if session is None else []
        if answers(stack.mcp_url.removesuffix("/mcp") + "/readyz") is None:
            waiting.append("mcp")
        if session is not None and not waiting:
            # A gateway that is started later is no reason to hold back the addresses.
            answered_at = answered_at or now
            if session != "starting" or now - answered_at > _SETTLE_S:
                return session
            waiting.append("the gateway")
        if now - begun >= told:
            say(f"starting, {now - begun:.0f} s so far; waiting for {' and '.join(waiting)}")
            told += _PROGRESS_S
    return ""


def _session(stack: Stack) -> str | None:
    """The session as the keepalive sees it, None when it does not answer."""
    reply = answers(f"{stack.guard_url}/status", stack.guard_token)
    if reply is None or not isinstance(reply.body, dict):
        return None
    session, mode = reply.body.get("state"), reply.body.get("mode")
    return f"{session} ({mode})" if session == "authenticated" and mode != "unknown" else str(session)


def _watch(stack: Stack, session: str, supervisor: Supervisor, stop: threading.Event) -> None:
    """Tell each change of the session until asked to stop."""
    while not stop.wait(_SESSION_S):
        supervisor.cut_logs()
        now = _session(stack)
        if now is not None and now != session:
            say(f"session: {now}")
            session = now


def _tell_end(logs: Path) -> Callable[[str, int, float | None], None]:
    def tell(name: str, code: int, delay_s: float | None) -> None:
        log = logs / f"{name}.log"
        if delay_s is None:
            say(f"{name} could not start (exit code {code}); {log} ends with:\n{_tail(log)}")
        else:
            say(f"{name} ended with exit code {code}; starting it again in {delay_s:g} s; see {log}")

    return tell


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
