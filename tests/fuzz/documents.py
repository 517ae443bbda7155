"""OpenAPI documents changed at random: none hangs or crashes the repair, and no operation is lost without a word."""

from __future__ import annotations

import json
import marshal
import random
import re
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from fuzz.document_changes import change
from fuzz.mutations import BYTES
from ib_mcp.openapi import diff, emit, report, status
from ib_mcp.openapi.errors import DocumentUnreadable
from ib_mcp.openapi.load import parse
from ib_mcp.openapi.repair.document import Repaired, repair
from ib_mcp.openapi.repair.operations import METHODS
from ib_mcp.openapi.rules import RULES, pointer
from ib_mcp.openapi.select import select
from ib_mcp.openapi.tool_document import tool_document

_CPU_S = 20
# A large document takes a validator seconds.
_SMALL = 30_000


@dataclass
class Outcome:
    """What became of ``done`` documents; a fault names the number that makes the same one again."""

    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def run(seed: int, numbers: range, documents: Sequence[dict[str, Any]]) -> Outcome:
    """One changed document for each number, made of ``documents`` in turn."""
    packed = [marshal.dumps(document) for document in documents]
    outcome = Outcome()
    for number in numbers:
        outcome.done += 1
        try:
            with bounded():
                check(changed(seed, number, marshal.loads(packed[number % len(packed)])))
        except DocumentUnreadable as error:
            outcome.refused[re.sub(r"\d+", "N", error.message)[:60]] += 1
        except Exception as error:
            # Whole documents are in the way of what is wrong with them.
            said = f"{type(error).__name__}: {error}"[:300]
            outcome.faults.append(f"document {number} of seed {seed}: {said}{_where(error)}")
    return outcome


def changed(seed: int, number: int, document: dict[str, Any]) -> bytes:
    """The text of ``document`` with one to six changes, now and then with its bytes changed as well."""
    chance = random.Random(f"{seed} {number}")
    for _ in range(chance.randint(1, 6)):
        change(chance, document)
    text = json.dumps(document).encode()
    return chance.choice(BYTES)(chance, text) if chance.random() < 0.1 else text


def check(text: bytes) -> None:
    """AssertionError says what is wrong with the repair of ``text``; DocumentUnreadable for what is none."""
    given = parse(text)
    repaired = repair(given)
    kept = {(_shape(path), method) for path, method in _operations(repaired.document)}
    _check_losses(given.root, repaired, kept)
    content = emit.text(repaired.document).encode()
    again = repair(parse(content))
    _hold([finding for finding in again.findings if RULES[finding.rule].kind != "gap"] == [], "a second repair")
    _hold({(_shape(path), method) for path, method in _operations(again.document)} == kept, "a second repair loses")
    served = select(repaired.document).served
    emit.text(emit.only(repaired.document, served))
    emit.text(tool_document(repaired.document, [(one.row.id, one) for one in served]))
    for view in (report.plain, report.as_json):
        view(repaired.findings, len(kept)).encode()
    for shown in (status.plain, status.as_json):
        shown(repaired.document, {}).encode()
    found = diff.difference(diff.of_document(repaired.document), diff.of_document(again.document))
    _hold((found.added, found.gone) == ((), ()), "diff with itself")
    diff.plain(found).encode()
    if len(content) < _SMALL:
        errors = [error.message[:100] for error in OpenAPIV31SpecValidator(repaired.document).iter_errors()]
        _hold(errors == [], f"invalid: {errors[:3]}")


def _check_losses(document: dict[str, Any], repaired: Repaired, kept: set[tuple[str, str]]) -> None:
    said = {finding.place for finding in repaired.findings if RULES[finding.rule].kind in ("loss", "error")}
    for path, method in _operations(document):
        at = ("paths", path, method)
        is_said = any(pointer(at[:length]) in said for length in (1, 2, 3))
        _hold(is_said or (_shape(path), method.lower()) in kept, f"lost in silence: {pointer(at)}")


def _hold(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not path.startswith("x-"):
            for method in item if isinstance(item, dict) else ():
                if method.lower() in METHODS:
                    yield path, method


def _shape(path: str) -> str:
    return re.sub(r"\{[^{}/]*\}", "{}", path if path.startswith("/") else f"/{path}")


@contextmanager
def bounded() -> Iterator[None]:
    """TimeoutError after more seconds of this process's own time than any document may take."""

    def give_up(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"more than {_CPU_S} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, _CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " at " + " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
