"""Questions that people ask their agent: the calls that a sensible agent makes, and what their answers must say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ib_simulator.app import Simulator
from ib_simulator.world import World
from ib_simulator.world.accounts import Account, UserKey
from ib_simulator.world.valuation import Valuation, Valued
from support.agent import Agent, Answer, agent

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Record:
    """What the simulator knows of one account at the moment of the question."""

    world: World
    account: Account
    now: float

    @property
    def value(self) -> Valuation:
        return self.world.valuation(self.account, self.now)

    def rows(self, *symbols: str, kinds: Sequence[str] = ()) -> list[Valued]:
        """Holdings by ticker or by class; all without either."""
        return [
            row
            for row in self.value.rows
            if (not symbols or row.holding.contract.symbol in symbols)
            and (not kinds or row.holding.contract.kind in kinds)
        ]


@dataclass(frozen=True)
class Question:
    """``check`` gets the answers in the order of the calls and the simulator's record, and asserts.

    ``moves``: time goes on, as quotes need it to come; else prices stand still between the calls and the check.
    """

    text: str
    calls: tuple[Call, ...]
    check: Callable[[list[Answer], Record], None]
    user: UserKey = "paper"
    account: int = 0
    moves: bool = False


@dataclass(frozen=True)
class Asked:
    question: Question
    answers: list[Answer]

    @property
    def size(self) -> int:
        return sum(len(answer.text.encode()) for answer in self.answers)


async def ask(question: Question) -> Asked:
    """Make the calls of ``question`` as a new agent and check their answers against the simulator's record."""
    async with agent(question.user, prepare=None if question.moves else _stand_still) as a:
        return await _ask(a, question)


def _stand_still(simulator: Simulator) -> None:
    """Without windows of pacing, which would stand still as well."""
    simulator.clock.run(1e-6)
    simulator.limits.enabled = False


async def _ask(a: Agent, question: Question) -> Asked:
    answers = [await a.call(tool, **arguments) for tool, arguments in question.calls]
    for answer in answers:
        assert not answer.is_error, (question.text, answer.text)
    world = a.simulator.backend.worlds[question.user]
    record = Record(world, world.accounts[question.account], a.simulator.clock.now())
    try:
        question.check(answers, record)
    except AssertionError as error:
        raise AssertionError(f"{question.text} {error}") from error
    return Asked(question, answers)


def money(value: float) -> Any:
    """Equal within the rounding of sums over many positions."""
    return pytest.approx(value, rel=1e-6, abs=1.0)


def conids(rows: Iterable[Valued]) -> list[int]:
    return [row.holding.contract.conid for row in rows]
