"""``python -m tests.bench``: every measurement, one table; exit code 1 when a budget is missed."""

from __future__ import annotations

import argparse
import platform
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import uvloop

from tests.bench import (
    added_time,
    capacity,
    catalogue_load,
    crowds,
    fairness,
    preview_time,
    start,
    token_check,
    whole_document,
)
from tests.bench.figures import Figure, markdown, plain
from tests.bench.running import peaks

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_MEMORY_MB = {"ib_mcp": ("MCP server", 120), "ib_keepalive": ("keepalive", 90)}


async def _catalogue() -> list[Figure]:
    measured = catalogue_load.measure()
    note = f"{measured['starts']:.1f} starts of a bare interpreter"
    return [
        Figure(
            "catalogue, loaded by a fresh interpreter", measured["load_ms"], catalogue_load.BUDGET_MS, " ms", note=note
        )
    ]


MEASUREMENTS: dict[str, Callable[[], Coroutine[Any, Any, list[Figure]]]] = {
    "catalogue": _catalogue,
    "start": start.measure,
    "whole-document": whole_document.measure,
    "same": crowds.same,
    "different": crowds.different,
    "distinct": crowds.distinct,
    "fairness": fairness.measure,
    "token-check": token_check.measure,
    "added-time": added_time.measure,
    "preview-time": preview_time.measure,
    "capacity": capacity.measure,
}


def memory() -> list[Figure]:
    """Of all stacks that this run started."""
    return [
        Figure(f"memory of the {name}, at most", peaks[part] / 1e6, budget, " MB")
        for part, (name, budget) in _MEMORY_MB.items()
        if part in peaks
    ]


def _load() -> str:
    return f"{psutil.getloadavg()[0]:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=tuple(MEASUREMENTS), help="this measurement; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{_PAGE.name}")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("--write needs all measurements")
    load, begun = _load(), time.monotonic()
    figures: list[Figure] = []
    failed = []
    for name in given.only or MEASUREMENTS:
        sys.stderr.write(f"{name} (load average {_load()})\n")
        try:
            figures += uvloop.run(MEASUREMENTS[name]())
        except Exception:
            # One that breaks is missed, and the others are still worth knowing.
            traceback.print_exc()
            failed.append(name)
    figures += memory()
    sys.stdout.write(plain(figures))
    if given.write and not failed:
        facts = (
            f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()},"
            f" {time.strftime('%Y-%m-%d')}; load average {load} before and {_load()} after"
            f" {time.monotonic() - begun:.0f} s."
        )
        head, _, rest = _PAGE.read_text("utf-8").partition(_BEGIN)
        tail = rest.partition(_END)[2]
        _PAGE.write_text(f"{head}{_BEGIN}\n{facts}\n\n{markdown(figures)}{_END}{tail}", "utf-8")
    missed = [*failed, *(figure.name for figure in figures if not figure.met)]
    if missed:
        sys.stdout.write(f"missed: {'; '.join(missed)}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
