"""The queue in front of IBKR, as a simulation of callers and of IBKR's own counting."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_keepalive.pacing.fair_queue import (
    IN_FLIGHT,
    MOST_WAITING,
    FairQueue,
    Limit,
    TooLong,
)
from ib_keepalive.pacing.reservations import RESERVED_S, Ticket
from ib_keepalive.pacing.sliding_window import SlidingWindow
from ib_keepalive.pacing.unanswered import OPERATION_REST_S, STUCK_S
from ibkr.operation import Pacing

TOGETHER = Pacing(9, 1.0)
LIMITS = {
    "orders": Limit(Pacing(1, 5.0)),
    "notes": Limit(Pacing(1, 1.0)),
    "history": Limit(concurrent=2),
    "slow": Limit(Pacing(1, 900.0)),
}


@dataclass(order=True)
class Event:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


@dataclass
class Served:
    caller: str
    operation: str
    asked: float
    start: float
    arrived: float
    end: float


class Simulation:
    """Runs a schedule against a clock of its own. ``lag``: how late in its doubt IBKR counts each request (0..1)."""

    def __init__(self, *, took: float = 0.05, lag: Callable[[int], float] = lambda number: 0.0) -> None:
        self.queue = FairQueue(TOGETHER, LIMITS)
        self.now = 0.0
        self.took = took
        self.lag = lag
        self.served: list[Served] = []
        self.refused: list[tuple[str, float, float]] = []
        self.most_running = 0
        self._events: list[Event] = []
        self._number = 0
        self._asked: dict[Ticket, tuple[float, Callable[[], None] | None]] = {}

    def at(self, when: float, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, Event(when, self._number, act))

    def ask(
        self,
        caller: str,
        operation: str = "read",
        request: object = None,
        deadline: float = 8.0,
        then: Callable[[], None] | None = None,
        refused: Callable[[float], None] | None = None,
    ) -> None:
        try:
            ticket = self.queue.join(self.now, [caller], operation, request, deadline)
        except TooLong as error:
            self.refused.append((caller, self.now, error.wait_s))
            if refused is not None:
                refused(error.wait_s)
        else:
            self._asked[ticket] = (self.now, then)
        self._pump()

    def run(self, until: float) -> None:
        while self._events and self._events[0].at <= until:
            event = heapq.heappop(self._events)
            self.now = max(self.now, event.at)
            event.act()
            self._pump()
        self.now = until

    def _pump(self) -> None:
        while (ticket := self.queue.start(self.now)) is not None:
            self._start(ticket)
        change = self.queue.next_change(self.now)
        if change is not None:
            assert change > self.now, "it may start now, yet start() gave nothing"
            self.at(change, lambda: None)

    def _start(self, ticket: Ticket) -> None:
        start, (asked, then) = self.now, self._asked.pop(ticket)
        self.most_running = max(self.most_running, self.queue.running)
        arrived = start + self.lag(len(self.served)) * self.took
        self.served.append(Served(ticket.caller, ticket.operation, asked, start, arrived, start + self.took))

        def finish() -> None:
            self.queue.finish(ticket, self.now)
            if then is not None:
                then()

        self.at(start + self.took, finish)

    def most_arrivals(self, seconds: float, operation: str | None = None) -> int:
        times = sorted(each.arrived for each in self.served if operation in (None, each.operation))
        return max((sum(t <= other < t + seconds for other in times) for t in times), default=0)


def loop_forever(simulation: Simulation, caller: str, operation: str = "read", deadline: float = 8.0) -> None:
    """An agent that asks one new request after the other, and obeys retry_after_s."""
    asked = [0]

    def ask() -> None:
        asked[0] += 1
        try_it(asked[0])

    def try_it(request: int) -> None:
        simulation.ask(
            caller,
            operation,
            request,
            deadline,
            then=ask,
            refused=lambda wait: simulation.at(simulation.now + wait, lambda: try_it(request)),
        )

    ask()


asks = st.lists(
    st.tuples(
        st.floats(0, 6),
        st.sampled_from("abcde"),
        st.sampled_from(["read", "read", "read", "orders", "notes", "history", "slow"]),
        st.integers(0, 1000),
        st.sampled_from([0.5, 8.0, 20.0]),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(asks, st.sampled_from([0.001, 0.05, 0.3, 2.0]), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_ibkr_never_counts_more_than_it_allows(requests, took, lags):
    simulation = Simulation(took=took, lag=lambda number: lags[number % len(lags)])
    for at, caller, operation, request, deadline in requests:
        simulation.at(at, lambda c=caller, o=operation, q=request, p=deadline: simulation.ask(c, o, q, p))
    simulation.run(until=200)
    assert simulation.most_arrivals(1.0) <= TOGETHER.calls
    assert simulation.most_arrivals(5.0, "orders") <= 1
    assert simulation.most_arrivals(1.0, "notes") <= 1
    assert simulation.most_arrivals(900.0, "slow") <= 1
    assert simulation.most_running <= IN_FLIGHT
    assert len(simulation.served) + len(simulation.refused) == len(requests)
    assert simulation.queue.running == simulation.queue.waiting == 0


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200)), min_size=1, max_size=60))
def test_a_caller_is_let_in_when_it_returns_as_it_was_told(callers, requests):
    simulation = Simulation(took=0.05)
    told_twice: list[str] = []

    def ask(caller: str, request: int) -> None:
        def refused(wait: float) -> None:
            simulation.at(
                simulation.now + wait,
                lambda: simulation.ask(caller, "read", request, 1.0, refused=lambda _: told_twice.append(caller)),
            )

        simulation.ask(caller, "read", request, 1.0, refused=refused)

    for number, (at, request) in enumerate(requests):
        caller = str(number % callers)
        simulation.at(at, lambda c=caller, q=request + number * 1000: ask(c, q))
    simulation.run(until=60)
    assert not told_twice
    assert len(simulation.served) == len(requests)


@pytest.mark.parametrize(
    ("agents", "deadline", "took"), [(16, 8.0, 0.02), (100, 8.0, 0.02), (40, 1.0, 0.3), (30, 2.0, 0.8)]
)
def test_the_least_served_of_equal_callers_gets_most_of_the_average(agents, deadline, took):
    simulation = Simulation(took=took)
    for agent in range(agents):
        simulation.at(agent * 0.001, lambda agent=agent: loop_forever(simulation, str(agent), deadline=deadline))
    simulation.run(until=120)
    served = Counter(each.caller for each in simulation.served)
    assert min(served[str(agent)] for agent in range(agents)) >= 0.8 * len(simulation.served) / agents
    assert len(simulation.served) >= 0.9 * 120 * min(TOGETHER.calls / (1.01 + took), IN_FLIGHT / took)


def test_a_caller_with_many_questions_does_not_delay_one_with_few():
    simulation = Simulation(took=0.02)
    for number in range(60):
        simulation.ask("greedy", "read", number)
    simulation.at(1.0, lambda: simulation.ask("modest", "read", "one"))
    simulation.run(until=20)
    [modest] = [each for each in simulation.served if each.caller == "modest"]
    assert modest.start - modest.asked < 0.3


def test_promises_to_callers_with_many_questions_do_not_delay_one_with_few():
    simulation = Simulation(took=0.02)

    def insist(caller: str, request: int) -> None:
        simulation.ask(
            caller,
            "read",
            request,
            1.0,
            refused=lambda wait: simulation.at(simulation.now + wait, lambda: insist(caller, request)),
        )

    for number in range(300):
        insist(f"greedy {number % 10}", number)
    simulation.at(10.0, lambda: simulation.ask("modest", "read", "one"))
    simulation.run(until=20)
    [modest] = [each for each in simulation.served if each.caller == "modest"]
    assert modest.start - modest.asked < 3
    assert len(simulation.served) > 170


def test_a_wait_beyond_patience_is_refused_at_once_with_the_time_it_would_take():
    simulation = Simulation(took=0.02)
    simulation.ask("a", "slow", 1)
    simulation.run(until=100)
    simulation.ask("b", "slow", 2)
    [(_, at, wait)] = simulation.refused
    assert at == 100
    assert wait == pytest.approx(800, abs=1)


def test_a_promised_call_of_a_slow_operation_is_not_given_to_somebody_else():
    simulation = Simulation(took=0.02)
    simulation.ask("a", "slow", 1)
    simulation.ask("b", "slow", 2)
    [(_, _, wait)] = simulation.refused
    simulation.at(wait - 1, lambda: simulation.ask("c", "slow", 3, deadline=20))
    simulation.at(wait, lambda: simulation.ask("b", "slow", 2))
    simulation.run(until=wait + 1)
    assert [each.caller for each in simulation.served] == ["a", "b"]


def test_a_promise_that_nobody_claims_ends():
    simulation = Simulation(took=0.02)
    simulation.ask("a", "slow", 1)
    simulation.ask("b", "slow", 2)
    [(_, _, wait)] = simulation.refused
    simulation.at(wait + RESERVED_S + 1, lambda: simulation.ask("c", "slow", 3))
    simulation.run(until=wait + RESERVED_S + 2)
    assert [each.caller for each in simulation.served] == ["a", "c"]


def test_requests_of_others_count():
    simulation = Simulation(took=0.01)
    for _ in range(8):
        for counted in simulation.queue.spend("tickle", 0.0):
            counted.answer(0.0)
    for number in range(5):
        simulation.ask("a", "read", number)
    simulation.run(until=0.5)
    assert len(simulation.served) == 1
    simulation.run(until=3)
    assert len(simulation.served) == 5


def test_the_line_is_bounded():
    simulation = Simulation(took=0.01)
    for number in range(MOST_WAITING * 8):
        simulation.ask(str(number // 2), "read", number, deadline=1e6)
    assert simulation.queue.waiting <= 1024
    assert simulation.refused
    assert all(wait >= 1 for _, _, wait in simulation.refused)


def test_a_request_that_was_never_sent_does_not_count():
    queue = FairQueue(TOGETHER, LIMITS)
    queue.join(0.0, ["a"], "slow", 1, 8.0)
    ticket = queue.start(0.0)
    assert ticket is not None
    queue.finish(ticket, 0.1, "unsent")
    queue.join(0.2, ["a"], "slow", 1, 8.0)
    assert queue.start(0.2) is not None


def lose(queue: FairQueue, at: float, *operations: str) -> None:
    """Have one request of each operation started at 0 and not answered until ``at``."""
    tickets = []
    for number, operation in enumerate(operations):
        queue.join(0.0, ["a"], operation, number, 8.0)
        tickets.append(queue.start(0.0))
    for ticket in tickets:
        assert ticket is not None
        queue.finish(ticket, at, "lost")


def test_requests_that_never_got_an_answer_take_slots_for_a_while_but_never_all():
    queue = FairQueue(TOGETHER, {})
    lose(queue, 10.0, "one", "two", "three", "four")
    for number in range(3):
        queue.join(20.0, ["a"], "read", number, 8.0)
    assert queue.start(20.0) is not None
    assert queue.start(20.0) is None
    assert queue.next_change(20.0) == 10.0 + STUCK_S
    assert queue.start(10.0 + STUCK_S) is not None


def test_an_operation_without_answers_rests_and_is_then_tried_one_by_one():
    queue = FairQueue(TOGETHER, {})
    lose(queue, 10.0, "ledger")
    assert queue.rests_s("ledger", "another", 10.0) == 0
    lose(queue, 11.0, "ledger")
    assert queue.rests_s("ledger", "another", 12.0) == OPERATION_REST_S - 1
    assert queue.rests_s("orders", "another", 12.0) == 0
    for number in range(3):
        queue.join(30.0, ["a"], "ledger", number, 80.0)
    tried = queue.start(30.0)
    assert tried is not None
    assert queue.start(30.0) is None
    queue.finish(tried, 31.0)
    assert queue.start(31.0) is not None
    assert queue.start(31.0) is not None


def test_who_leaves_the_line_costs_nothing():
    queue = FairQueue(TOGETHER, {})
    queue.leave(queue.join(0.0, ["a"], "read", 1, 8.0), 0.0, keep=False)
    assert queue.start(0.0) is None
    assert queue.next_change(0.0) is None


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=12), st.integers(0, 12))
def test_a_window_opens_exactly_when_it_says(calls, times, ahead):
    window = SlidingWindow(calls, 1.0)
    for time in sorted(times):
        window.take(time).answer(time)
    now = max(times, default=0.0)
    said = window.opening(now, ahead)
    for _ in range(ahead):
        now = window.opening(now)
        window.take(now).answer(now)
    assert window.opening(now) == pytest.approx(said)
    assert window.free(window.opening(now) + 1e-9) >= 1
