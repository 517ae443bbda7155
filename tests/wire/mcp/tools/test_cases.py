"""Every case of tests/cases: bodies of IBKR in, through simulator, guard and tool, and what the agent is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ib_simulator.app import Simulator
from ib_simulator.faults.faults import FaultSpec
from support.agent import Answer, agent

pytestmark = pytest.mark.looptime

CASES = Path(__file__).parents[3] / "cases"
FIELDS = {"case", "basis", "user", "ibkr", "call", "arguments", "answer", "lacks", "error"}


def _cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(file.read_text("utf-8"))["cases"]:
            assert case.keys() <= FIELDS, case.keys() - FIELDS
            yield pytest.param(case, id=f"{file.stem}: {case['case']}")


@pytest.mark.parametrize("case", list(_cases()))
async def test_the_answer_is_right(case: dict[str, Any]) -> None:
    async with agent(case.get("user", "paper"), prepare=lambda simulator: _answering(simulator, case["ibkr"])) as a:
        answer = await a.call(case["call"], **case.get("arguments", {}))
    if "error" in case:
        _compare(answer.error, case["error"], "error")
        return
    assert not answer.is_error, answer.text
    for name, wanted in case["answer"].items():
        _compare(_shown(answer, name), wanted, name)
    assert answer.body.keys().isdisjoint(case.get("lacks", ()))


def _answering(simulator: Simulator, bodies: dict[str, Any]) -> None:
    """IBKR's bodies by operation, in place of the simulator's; of a number alone, that HTTP status."""
    for operation, body in bodies.items():
        if operation == "list_positions":
            simulator.faults.add(FaultSpec(kind="answer", endpoint=operation, path="*/0", status=200, body=body))
            simulator.faults.add(FaultSpec(kind="answer", endpoint=operation, path="*/[1-9]", status=200, body=[]))
        elif isinstance(body, int):
            simulator.faults.add(FaultSpec(kind="answer", endpoint=operation, status=body))
        else:
            simulator.faults.add(FaultSpec(kind="answer", endpoint=operation, status=200, body=body))


def _shown(answer: Answer, name: str) -> Any:
    """A part of the answer; of a table its rows as dictionaries."""
    found = answer.body.get(name)
    return answer.rows(name) if isinstance(found, dict) and found.keys() >= {"columns", "rows"} else found


def _compare(found: Any, wanted: Any, where: str) -> None:
    """``wanted`` names a part of ``found``: dictionaries their keys, texts with ``...`` at an end the rest of it."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), f"{where}: {found!r}"
        for name, value in wanted.items():
            _compare(found.get(name), value, f"{where}.{name}")
    elif isinstance(wanted, list) and isinstance(found, list):
        assert len(found) == len(wanted), f"{where}: {found!r}"
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            _compare(one, other, f"{where}[{place}]")
    elif isinstance(wanted, str) and "..." in wanted:
        assert all(part.strip() in str(found) for part in wanted.split("...")), f"{where}: {found!r}"
    else:
        assert found == wanted, f"{where}: {found!r} is not {wanted!r}"
