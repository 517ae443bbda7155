"""``python -m tests.soak sharing|gateways|load|orders``: exit code 1 when something was untrue, or a 429 was earned."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import io
import logging
import sys
import time
from pathlib import Path

import looptime
import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.commotion import Commotion, show
from support.gateways_in_commotion import GatewaysInCommotion
from support.load import full_load
from support.order_runs import Runs
from support.order_runs import show as show_orders


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("what", choices=("sharing", "gateways", "load", "orders"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=None, help="of virtual time; default 24, of load 1")
    parser.add_argument("--agents", type=int, default=12)
    parser.add_argument("--runs", type=int, default=100, help="of orders")
    parser.add_argument("--first", type=int, default=0, help="of orders: the number of the first run")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    loop = looptime.new_event_loop(start=0.0, idle_timeout=None)
    asyncio.set_event_loop(loop)
    what = {"load": _load, "orders": _orders}.get(given.what, _sharing)
    return loop.run_until_complete(what(given))


async def _sharing(given: argparse.Namespace) -> int:
    of = Commotion if given.what == "sharing" else GatewaysInCommotion
    findings = await of(given.seed, (given.hours or 24) * 3600).run(given.agents)
    sys.stdout.write(show(findings) + "\n")
    return 1 if findings.wrong else 0


async def _load(given: argparse.Namespace) -> int:
    result = await full_load(seed=given.seed, seconds=(given.hours or 1) * 3600)
    sys.stdout.write(f"{result.answered} answers, {result.refused} times 429\n")
    return 1 if result.refused else 0


async def _orders(given: argparse.Namespace) -> int:
    # What is asked for with every request in process, and is not there.
    sys.modules["sniffio"] = None  # type: ignore[assignment]
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    runs = Runs(given.seed)
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()) as audit:
        for number in range(given.first, given.first + given.runs):
            await runs.run(number)
            audit.seek(0)
            audit.truncate()
            if (number + 1) % 250 == 0:
                sys.stderr.write(f"{number + 1} runs, wrong: {runs.findings.wrong}\n")
    sys.stdout.write(f"{show_orders(runs.findings)}\n{time.monotonic() - began:.0f} s\n")
    return 1 if runs.findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
