"""``python -m tests.fuzz [--seed N] [--requests N] [--answers N] [--documents N]``; exit code 1 when anything broke.

Broken is: an answer with a 500 of our own, an error of our own in a tool's result, a traceback in a log, a process that
ended, or memory that grows; of OpenAPI documents also an operation lost without a word, and a repair that takes 20 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from support import published
from tests.fuzz import answers, documents, requests

_MEBIBYTE = 1024 * 1024
_GROWTH = 24 * _MEBIBYTE
_AT_ONCE = 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--answers", type=int, default=2_000)
    parser.add_argument("--documents", type=int, default=2_000)
    given = parser.parse_args()
    say(f"seed {given.seed}")
    faults: list[str] = []
    if given.requests:
        with tempfile.TemporaryDirectory() as folder:
            sent = requests.run(given.seed, given.requests, Path(folder))
        grown = {name: f"{size / _MEBIBYTE:+.1f} MiB" for name, size in sent.grown.items()}
        say(f"{sent.sent} requests, answered {dict(sorted(sent.statuses.items()))}; memory {grown}")
        faults += sent.faults
        faults += [f"{name} grew by {size >> 20} MiB" for name, size in sent.grown.items() if size > _GROWTH]
    if given.answers:
        told = answers.run(given.seed, given.answers)
        grew = f"{told.grown / _MEBIBYTE:+.1f} MiB"
        say(f"{told.answers} mutated answers in {told.calls} calls of tools, errors {told.errors}; memory {grew}")
        faults += told.faults
        if told.grown > _GROWTH:
            faults.append(f"the parts grew by {told.grown >> 20} MiB")
    if given.documents:
        faults += changed_documents(given.seed, given.documents)
    for fault in faults:
        say(f"BROKEN: {fault}")
    say(f"{len(faults)} broken")
    return 1 if faults else 0


def changed_documents(seed: int, count: int) -> list[str]:
    """What broke of so many changed documents of IBKR."""
    if not published.is_here():
        say("no documents of IBKR here: IB_MCP_SHARED names the folder that holds data/ibkr-openapi")
        return []
    originals, faults, refused = list(published.documents()), [], Counter[str]()
    for first in range(0, count, _AT_ONCE):
        told = documents.run(seed, range(first, min(first + _AT_ONCE, count)), originals)
        faults += told.faults
        refused += told.refused
        say(f"{first + told.done} changed documents, {len(faults)} broken")
    say(f"refused: {dict(refused.most_common())}")
    return faults


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
