"""The session keeper: probes the gateway in turn, concludes the session's state and opens the session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.session import timing
from ib_keepalive.session.askers import Asker, Askers
from ib_keepalive.session.ladder import LIMITS_S, Ladder
from ib_keepalive.session.observation import Outcome
from ib_keepalive.session.poller import Pacing, Poller
from ib_keepalive.session.tracker import SessionTracker
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import UpstreamUnreachable
from ibkr.session import SessionState, Status

log = structlog.get_logger("ib_keepalive.session.keeper")

_STALLED_S = 120.0
# A clock coarser than the times it is compared with must not make the loop spin.
_SHORTEST_REST_S = 0.001
# A machine that slept is noticed at the next turn.
_LONGEST_REST_S = 5.0
_GOOD = (Outcome.FLAGS, Outcome.ALIVE)


class Keeper:
    """One per gateway. ``run`` until cancelled; everything else may be called meanwhile from the same loop.

    ``tracker`` knows the session and is told what others notice.
    """

    def __init__(
        self,
        settings: KeepaliveSettings,
        client: httpx.AsyncClient,
        metrics: Metrics,
        *,
        pacing: Pacing,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._wall = wall
        self._clock = asyncio.get_running_loop().time
        self._poller = Poller(client, metrics, pacing, is_program=settings.backend == "gateway")
        self.tracker = SessionTracker(
            settings, metrics, self._poller, clock=self._clock, wall=wall, penalty_left=pacing.penalty_left
        )
        self._ladder = Ladder(
            self._poller,
            self.tracker.identity,
            identify=self.tracker.learning.validate,
            climbed=lambda rung, end: metrics.openings.labels(rung, end).inc(),
            rungs=LIMITS_S if settings.backend == "gateway" else ("documented",),
        )
        self._askers = Askers()
        self._is_running = False
        self._last_turn = self._clock()

    def status(self) -> Status:
        """What ``/status`` says now."""
        return self.tracker.status()

    @property
    def is_turning(self) -> bool:
        """Whether the loop made a turn lately: each takes seconds."""
        return self._clock() - self._last_turn < _STALLED_S

    async def reauthenticate(self, *, is_person: bool = False) -> Status:
        """Open the brokerage session; the status after IBKR's answer. Nothing is sent when it is open already.

        ``is_person``: a person asks, beyond the budget. IbError when it must not be asked for now.
        """
        return await self._ask(Asker(is_person=is_person, compete=self._settings.compete))

    async def take_over(self) -> Status:
        """The same for a person who wants the session taken from another program, once."""
        return await self._ask(Asker(is_person=True, compete=True))

    async def _ask(self, asker: Asker) -> Status:
        self._check_may_reopen(asker)
        if self.tracker.verdict.state is not SessionState.AUTHENTICATED:
            self._askers.add(asker)
            self.tracker.changed.set()
            await asker.answer
        return self.status()

    def _check_may_reopen(self, asker: Asker) -> None:
        if not self._is_running:
            raise UpstreamUnreachable("The session keeper is not running.")
        refused = self.tracker.openings.refuse(self.tracker.verdict, is_person=asker.is_person, compete=asker.compete)
        if refused is not None:
            raise refused

    async def run(self) -> None:
        """Probe for ever, one request at a time: each holds one of the gateway's five slots."""
        self._is_running = True
        try:
            while True:
                self._last_turn = self._clock()
                self.tracker.note_sleep()
                self.tracker.note_silence(self._last_turn)
                await self._turn(self._last_turn)
        finally:
            self._is_running = False
            self._askers.end(UpstreamUnreachable("The session keeper stopped."))

    async def _turn(self, now: float) -> None:
        attention = self.tracker.attention
        if self._is_opening_due(now):
            await self._reopen(compete=self._settings.compete_at_sign_in, is_counted=False)
        elif self._askers:
            await self._serve_asker()
        elif now >= attention.probe_due:
            await self._probe()
        elif now >= attention.tickle_due and attention.may_tickle(self.tracker.verdict, now):
            await self._tickle()
        elif self._is_own_turn_to_reopen(now):
            await self._reopen(compete=False)
        elif now >= attention.busy_until and self.tracker.learning.is_due(self.tracker.verdict.state, now):
            await self.tracker.learning.learn(is_open=self.tracker.verdict.state is SessionState.AUTHENTICATED)
        else:
            await self._rest(now)

    async def _serve_asker(self) -> None:
        # The answer of a probe that was under way may have changed what is allowed, so it is checked again.
        # A caller that went away gets what it asked for all the same: somebody wanted it.
        with self._askers.next() as asker:
            self._check_may_reopen(asker)
            if self.tracker.verdict.state is not SessionState.AUTHENTICATED:
                await self._reopen(compete=asker.compete, is_counted=not asker.is_person)

    async def _rest(self, now: float) -> None:
        attention = self.tracker.attention
        due = [attention.probe_due]
        if attention.may_tickle(self.tracker.verdict, now):
            due.append(attention.tickle_due)
        opens = (self.tracker.openings.try_at(self.tracker.verdict), self.tracker.opens_at_sign_in())
        due.extend(at for at in opens if at is not None)
        if self.tracker.learning.is_due(self.tracker.verdict.state, max(now, self.tracker.learning.due)):
            due.append(max(self.tracker.learning.due, attention.busy_until))
        self.tracker.changed.clear()
        try:
            async with asyncio.timeout(max(_SHORTEST_REST_S, min(min(due) - now, _LONGEST_REST_S))):
                await self.tracker.changed.wait()
        except TimeoutError:
            pass

    async def _probe(self) -> None:
        if self.tracker.attention.probes_by_tickle(self.tracker.verdict, self._clock()):
            await self._tickle()
            return
        number = self.tracker.sign_ins.number
        result, body = await self._poller.ask(
            "get_auth_status", limit_s=self.tracker.attention.limit_s(self.tracker.verdict, self._clock())
        )
        if number != self.tracker.sign_ins.number:
            return
        self.tracker.identity.learn(body)
        if result.outcome is Outcome.ALIVE:
            result = replace(result, outcome=Outcome.BROKEN, detail="IBKR's answer lacks the session's flags")
        self.tracker.conclude(result)

    async def _tickle(self) -> None:
        number = self.tracker.sign_ins.number
        result, _ = await self._poller.ask("tickle", limit_s=self._limit_s())
        now = self._clock()
        self.tracker.attention.tickled(result, now)
        self._metrics.tickle.labels("ok" if result.outcome in _GOOD else result.outcome.value).inc()
        if result.outcome in _GOOD:
            self.tracker.counters.tickled, self.tracker.counters.tickle_failures = now, 0
            self._metrics.tickle_last_success.set(self._wall())
        else:
            self.tracker.counters.tickle_failures += 1
        # What a question that began before a sign-in was answered says nothing about the session after it.
        if number == self.tracker.sign_ins.number:
            if result.outcome in _GOOD:
                self.tracker.learning.take_tickle(result)
            self.tracker.conclude(result)

    def _limit_s(self) -> float | None:
        return self.tracker.attention.limit_s(self.tracker.verdict, self._clock())

    async def _reopen(self, *, compete: bool, is_counted: bool = True) -> None:
        number = self.tracker.sign_ins.number
        self.tracker.openings.begin(is_counted=is_counted)
        opening = await self._ladder.climb(self.tracker.openings.rung, compete=compete)
        self.tracker.openings.end(opening)
        result = opening.result
        self._metrics.reauth.labels(opening.label).inc()
        log.info("asked to open the brokerage session", result=opening.label, rung=opening.rung, detail=result.detail)
        # A refusal of the opening says nothing of the session's state; the next look does.
        if opening.label not in ("refused", "no_rights") and number == self.tracker.sign_ins.number:
            self.tracker.conclude(result)
        soon_s = timing.OPENED_S if opening.label == "opened" else timing.AFTER_CHANGE_S
        self.tracker.attention.look_soon(self._clock(), soon_s)

    def _is_opening_due(self, now: float) -> bool:
        at = self.tracker.opens_at_sign_in()
        return at is not None and now >= at

    def _is_own_turn_to_reopen(self, now: float) -> bool:
        due = self.tracker.openings.try_at(self.tracker.verdict)
        return due is not None and now >= due
