"""The pacing queue and shared shared calls inside an event loop, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from ib_keepalive.guard.reads.single_flight import SingleFlight
from ib_keepalive.metrics import Metrics
from ib_keepalive.pacing.deadline import Deadline
from ib_keepalive.pacing.pacer import TOGETHER, Pacer
from ib_keepalive.pacing.penalty_box import AGAIN_S, FIRST_S, PenaltyBox
from ib_keepalive.pacing.reservations import Ticket
from ib_keepalive.pacing.shared_call import Caller, SharedCall
from ibkr import catalogue
from ibkr.errors import PacingLimited, UpstreamError, UpstreamTimeout

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


def pacer() -> Pacer:
    return Pacer(catalogue.load(), Metrics())


def waiter(name: str = "a", turn_s: float = 8.0, answer_s: float | None = None) -> Caller:
    """One that gives up ``answer_s`` from now, or 15 s after its latest turn."""
    return Caller(name, Deadline(now() + turn_s, now() + (turn_s + 15 if answer_s is None else answer_s)))


def call(operation: str = "get_ledger", caller: str = "a", within_s: float = 8.0) -> SharedCall:
    return SharedCall(operation, [waiter(caller, within_s)])


async def take(line: Pacer, request: object, lasts_s: float = 0.1, **of: object) -> float:
    """Have a turn, answer after ``lasts_s``; returns when it started."""
    ticket = await line.turn(call(**of), request)  # type: ignore[arg-type]
    started = now()
    await asyncio.sleep(lasts_s)
    line.done(ticket)
    return started


async def test_turns_come_at_the_pace_of_ibkr():
    line = pacer()
    starts = await asyncio.gather(*(take(line, number, 0.01) for number in range(25)))
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[TOGETHER.calls :], strict=False))
    assert max(starts) < 2.5
    assert (line.waiting, line.running) == (0, 0)


async def test_no_more_than_four_are_under_way():
    line = pacer()
    tickets = [await line.turn(call(), number) for number in range(4)]
    fifth = asyncio.create_task(line.turn(call(), 5))
    await asyncio.sleep(3)
    assert not fifth.done()
    line.done(tickets[0])
    line.done(await fifth)
    assert line.running == 3


async def test_a_turn_beyond_patience_is_refused_at_once_and_given_on_return():
    line = pacer()
    await take(line, 1, operation="list_live_orders")
    began = now()
    with pytest.raises(PacingLimited) as refused:
        await line.turn(call("list_live_orders", "b", within_s=2), 2)
    assert now() == began
    assert refused.value.retry_after_s == pytest.approx(5.1, abs=0.15)
    await asyncio.sleep(refused.value.retry_after_s or 0)
    line.done(await line.turn(call("list_live_orders", "b", within_s=0.5), 2))


async def test_who_gives_up_in_the_line_leaves_no_trace():
    line = pacer()
    tickets = [await line.turn(call(), number) for number in range(4)]
    waiting = asyncio.create_task(line.turn(call(), 5))
    await asyncio.sleep(0.1)
    assert line.waiting == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    for ticket in tickets:
        line.done(ticket)
    assert (line.waiting, line.running) == (0, 0)


async def test_who_gives_up_in_the_moment_of_its_turn_gives_the_turn_back():
    line = pacer()
    tickets = [await line.turn(call(), number) for number in range(4)]
    waiting = asyncio.create_task(line.turn(call(), 5))
    await asyncio.sleep(0.1)
    line.done(tickets.pop())
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    for ticket in tickets:
        line.done(ticket)
    assert (line.waiting, line.running) == (0, 0)


async def test_the_keeper_goes_first():
    line = pacer()
    turns = [asyncio.create_task(take(line, number, 0.01)) for number in range(30)]
    await asyncio.sleep(0.2)
    await line.reserve("get_auth_status")
    assert now() < 1.1
    starts = sorted([await turn for turn in turns] + [now()])
    assert all(later - earlier >= 1 for earlier, later in zip(starts[:27], starts[TOGETHER.calls :], strict=False))


async def test_the_keeper_is_not_held_up_for_long():
    line = pacer()
    for _ in range(30):
        line._queue.spend("tickle", now())[0].answer(now())
    began = now()
    await line.reserve("tickle")
    assert now() - began <= 2


async def test_what_was_given_up_goes_out_with_the_first_answer_and_counts_then():
    line = pacer()
    for number in range(3):
        ticket = await line.turn(call(), number)
        await asyncio.sleep(61)
        line.done(ticket, "lost")
    for _ in range(3):
        await line.reserve("get_auth_status")
        await asyncio.sleep(60)
    await line.reserve("get_auth_status")
    recovered = now()
    line.answered(200)
    summaries = (take(line, number, 0.01, operation="get_portfolio_summary") for number in range(12))
    starts = await asyncio.gather(*summaries)
    # Three of callers, three of the keeper, and the answered one itself.
    assert sum(start < recovered + 1 for start in starts) == TOGETHER.calls - 7


async def test_the_keeper_keeps_an_operations_own_limit_too():
    line = pacer()
    await line.reserve("tickle")
    await asyncio.sleep(0.3)
    line.answered(200)
    await line.reserve("tickle")
    assert now() == pytest.approx(1.31, abs=0.02)


async def test_a_429_closes_the_line_for_ten_minutes_and_one_request_tries():
    line = pacer()
    tickets = [await line.turn(call(), number) for number in range(4)]
    waiting = [asyncio.create_task(line.turn(call(), number)) for number in range(4, 8)]
    await asyncio.sleep(0)
    line.answered(429)
    for refused in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(refused, PacingLimited)
        assert refused.retry_after_s == pytest.approx(FIRST_S)
    for ticket in tickets:
        line.done(ticket)
    await asyncio.sleep(100)
    with pytest.raises(PacingLimited) as late:
        await line.turn(call(), 9)
    assert late.value.retry_after_s == pytest.approx(FIRST_S - 100)
    await asyncio.sleep(FIRST_S - 100)
    tries: list[asyncio.Task[Ticket]] = [asyncio.create_task(line.turn(call(), number)) for number in range(3)]
    await asyncio.sleep(0.5)
    assert [each.done() for each in tries] == [True, False, False]
    line.answered(200)
    line.done(await tries[0])
    await asyncio.sleep(0.5)
    assert [each.done() for each in tries] == [True, True, True]
    for each in tries[1:]:
        line.done(await each)


def test_a_second_offence_lasts_longer_and_one_burst_is_one_offence():
    box = PenaltyBox()
    box.hit(0, "a", None)
    box.hit(5, "a", None)
    assert box.left(10) == FIRST_S - 10
    box.hit(FIRST_S, "a", None)
    assert box.left(FIRST_S) == AGAIN_S
    box.passed(FIRST_S + 1, "b", FIRST_S + 0.5)
    assert box.left(FIRST_S + 1) > 0
    box.passed(FIRST_S + AGAIN_S, "b", FIRST_S + AGAIN_S)
    box.hit(9999, "b", 30)
    assert box.left(9999) == 30


async def test_callers_of_one_question_share_a_call():
    calls: SingleFlight[str] = SingleFlight(lambda _: PacingLimited("late"), lambda _: None)
    worked = []

    async def work(call: SharedCall) -> str:
        worked.append(call)
        await asyncio.sleep(1)
        return "answer"

    answers = await asyncio.gather(*(calls.ask("q", "get_ledger", waiter(caller, 9, 9), work) for caller in "abc"))
    assert answers == [("answer", False), ("answer", True), ("answer", True)]
    assert len(worked) == 1
    await asyncio.sleep(0)
    assert len(calls) == 0


async def test_a_caller_that_leaves_does_not_end_the_call_of_the_others():
    calls: SingleFlight[str] = SingleFlight(lambda _: PacingLimited("late"), lambda _: None)

    async def work(_: SharedCall) -> str:
        await asyncio.sleep(1)
        return "answer"

    first = asyncio.create_task(calls.ask("q", "get_ledger", waiter("a", 9, 9), work))
    second = asyncio.create_task(calls.ask("q", "get_ledger", waiter("b", 9, 9), work))
    await asyncio.sleep(0.5)
    first.cancel()
    assert await second == ("answer", True)


async def test_a_call_that_nobody_wants_ends_unless_the_gateway_has_it():
    calls: SingleFlight[str] = SingleFlight(lambda _: PacingLimited("late"), lambda _: None)
    ended = []

    async def work(call: SharedCall) -> str:
        [caller] = call.callers
        call.is_sent = caller == "sent"
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            ended.append(caller)
            raise
        return "answer"

    for caller in ("waiting", "sent"):
        asking = asyncio.create_task(calls.ask(caller, "get_ledger", waiter(caller, 9, 9), work))
        await asyncio.sleep(0.5)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0)
    assert ended == ["waiting"]
    assert len(calls) == 1
    await asyncio.sleep(6)
    assert len(calls) == 0


async def test_each_caller_keeps_its_own_deadline():
    calls: SingleFlight[str] = SingleFlight(lambda _: PacingLimited("late"), lambda _: None)

    async def work(_: SharedCall) -> str:
        await asyncio.sleep(3)
        return "answer"

    slow = asyncio.create_task(calls.ask("q", "get_ledger", waiter("a", 9, 9), work))
    with pytest.raises(UpstreamTimeout):
        await calls.ask("q", "get_ledger", waiter("b", 1, 1), work)
    assert now() == pytest.approx(1)
    assert (await slow)[0] == "answer"


async def test_an_error_reaches_everybody_who_waits_and_nobody_after():
    calls: SingleFlight[str] = SingleFlight(lambda _: PacingLimited("late"), lambda _: None)
    tries = []

    async def work(_: SharedCall) -> str:
        tries.append(1)
        await asyncio.sleep(1)
        raise UpstreamError("no")

    for _ in range(2):
        both = await asyncio.gather(
            *(calls.ask("q", "get_ledger", waiter("a", 99, 99), work) for _ in range(2)), return_exceptions=True
        )
        assert [type(each) for each in both] == [UpstreamError, UpstreamError]
    assert len(tries) == 2
