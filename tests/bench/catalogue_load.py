"""What the endpoint catalogue costs a fresh interpreter, imports included: less than 50 ms, and how many bare starts.

``python -m tests.bench.catalogue_load`` prints it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

BUDGET_MS = 50
ROUNDS = 15

_LOAD = """
from time import perf_counter
began = perf_counter()
from ibkr import catalogue
catalogue.load()
print((perf_counter() - began) * 1000)
"""


def measure() -> dict[str, float]:
    """``load_ms``: median over fresh interpreters; ``starts``: that over the start of a bare interpreter."""
    loads, starts = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
        starts.append((time.perf_counter() - began) * 1000)
        done = subprocess.run([sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True)
        loads.append(float(done.stdout))
    load = statistics.median(loads)
    return {"load_ms": load, "starts": load / statistics.median(starts)}


if __name__ == "__main__":
    figures = measure()
    sys.stdout.write(
        f"catalogue, cold: {figures['load_ms']:.0f} ms (budget {BUDGET_MS}), {figures['starts']:.1f} bare starts\n"
    )
    sys.exit(figures["load_ms"] > BUDGET_MS)
