"""The supervisor of `ib-mcp up` with small real programs as its parts."""

from __future__ import annotations

import os
import queue
from pathlib import Path

import psutil

from ib_mcp.cli.stack import free_ports
from ib_mcp.cli.supervisor import Part, Supervisor


def program(folder: Path, text: str) -> Part:
    """A part called ``part`` that runs ``text``."""
    (folder / "program.py").write_text(text)
    return Part("part", "program", {"PYTHONPATH": str(folder)})


def wait_for_children(count: int) -> list[psutil.Process]:
    """The processes that the supervisor started, once there are so many: a thread of it starts each."""
    while len(found := [child for child in psutil.Process().children() if _is_part(child)]) < count:
        pass
    return found


def _is_part(process: psutil.Process) -> bool:
    try:
        return "ib_mcp.cli.child" in process.cmdline()
    except psutil.Error:
        return False


class Ends:
    """What a supervisor told about parts that died, as it comes."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[str, int, float | None]] = queue.Queue()

    def __call__(self, name: str, code: int, delay_s: float | None) -> None:
        self._told.put((name, code, delay_s))

    def next(self) -> tuple[str, int, float | None]:
        return self._told.get(timeout=20)


def test_a_part_that_dies_is_started_again_with_the_same_settings(tmp_path: Path) -> None:
    ends = Ends()
    part = program(tmp_path, "import os, sys; print(os.environ['PYTHONPATH'], flush=True); sys.exit(3)")
    with Supervisor([part], tmp_path, ends) as supervisor:
        supervisor.steady()
        assert ends.next() == ("part", 3, 0.5)
        assert ends.next() == ("part", 3, 1.0)
    assert (tmp_path / "part.log").read_text().split() == [str(tmp_path)] * 2


def test_a_part_that_dies_before_everything_answered_stays_dead(tmp_path: Path) -> None:
    ends = Ends()
    with Supervisor([program(tmp_path, "raise SystemExit('no such file')")], tmp_path, ends) as supervisor:
        assert ends.next() == ("part", 1, None)
        assert supervisor.failed == {"part": 1}
    assert (tmp_path / "part.log").read_text() == "no such file\n"


def test_leaving_ends_every_part(tmp_path: Path) -> None:
    parts = [Part(f"web{port}", "http.server", {}, (str(port), "--bind", "127.0.0.1")) for port in free_ports(2)]
    with Supervisor(parts, tmp_path, Ends()):
        started = wait_for_children(2)
    assert not any(process.is_running() for process in started)


def test_a_part_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    text = f"""
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({str(tmp_path / "ready")!r}, "w").close()
threading.Event().wait()
"""
    with Supervisor([program(tmp_path, text)], tmp_path, Ends(), grace_s=0.2):
        (tmp_path / "ready").read_text()
        (started,) = wait_for_children(1)
    assert not started.is_running()


def test_the_log_of_the_run_before_is_kept_aside_for_its_owner_only(tmp_path: Path) -> None:
    for said in ("first", "second"):
        ends = Ends()
        with Supervisor([program(tmp_path, f"print({said!r})")], tmp_path, ends):
            ends.next()
    assert (tmp_path / "part.log").read_text() == "second\n"
    assert (tmp_path / "part.log.old").read_text() == "first\n"
    assert (tmp_path / "part.log").stat().st_mode & 0o077 == 0


def test_a_log_that_grew_long_is_put_aside_and_the_part_goes_on_writing(tmp_path: Path) -> None:
    for name in ("talk", "heard"):
        os.mkfifo(tmp_path / name)
    # Says a line for each line of one pipe, and on the other that it did.
    text = f"""
with open({str(tmp_path / "talk")!r}) as talk, open({str(tmp_path / "heard")!r}, "w") as heard:
    for line in talk:
        print(line, end="", flush=True)
        print("heard", file=heard, flush=True)
"""
    with (
        Supervisor([program(tmp_path, text)], tmp_path, Ends()) as supervisor,
        (tmp_path / "talk").open("w") as talk,
        (tmp_path / "heard").open() as heard,
    ):
        for said in ("one", "two"):
            print(said, file=talk, flush=True)
            assert heard.readline()
            supervisor.cut_logs(longest=3)
        print("end", file=talk, flush=True)
        assert heard.readline()
    assert (tmp_path / "part.log.old").read_text() == "two\n"
    assert (tmp_path / "part.log").read_text() == "end\n"
