"""The session keeper: probes the gateway in turn, concludes the session's state and opens the session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.session import calendar, status, timing
from ib_keepalive.session.askers import Asker, Askers
from ib_keepalive.session.attention import Attention
from ib_keepalive.session.gateway import GatewayProcess
from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.ladder import Identity, Ladder
from ib_keepalive.session.learning import Learning
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.openings import SIGN_IN_LASTS_S, Openings
from ib_keepalive.session.poller import PATIENT_LIMIT_S, Pacing, Poller
from ib_keepalive.session.reopening import GAP_S
from ib_keepalive.session.sign_in import SignIns
from ib_keepalive.session.sleep import Sleep
from ib_keepalive.session.states import Verdict, decide, expect_session, forget
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import UpstreamUnreachable
from ibkr.session import SIGNED_IN, SessionState, Status

log = structlog.get_logger("ib_keepalive.session.keeper")

_STALLED_S = 120.0
# A clock coarser than the times it is compared with must not make the loop spin.
_SHORTEST_REST_S = 0.001
# A machine that slept is noticed at the next turn.
_LONGEST_REST_S = 5.0
_UNANSWERED = (Outcome.TIMEOUT, Outcome.SILENT, Outcome.REFUSED, Outcome.BROKEN)
_GOOD = (Outcome.FLAGS, Outcome.ALIVE)


class Keeper:
    """One per gateway. ``run`` until cancelled; everything else may be called meanwhile from the same loop."""

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
        self._clock = clock = asyncio.get_running_loop().time
        self._poller = Poller(client, metrics, pacing)
        self._pacing = pacing
        self._identity = Identity()
        self._ladder = Ladder(
            self._poller,
            self._identity,
            identify=lambda: self._learning.validate(),
            climbed=lambda rung, end: metrics.openings.labels(rung, end).inc(),
        )
        self._started = now = clock()
        self._verdict = Verdict(SessionState.STARTING, since=now, concluded_at=now)
        record = settings.record_file
        journal = SessionJournal(None if record is None else record.with_suffix(".session.json"))
        self._openings = Openings(settings, journal, clock=clock, wall=wall)
        self._sign_ins = SignIns(journal)
        self._gateway = GatewayProcess(journal, settings.brokerage_login, settings.instance, settings.gateway_build)
        self._counters = status.KeeperCounters()
        self._learning = Learning(
            self._poller,
            self._identity,
            self._sign_ins,
            clock=clock,
            another=lambda: self._begin_sign_in("user or accounts are others than before"),
        )
        self._sleep = Sleep(clock, wall)
        self._attention = Attention(now)
        self._answered_at = now
        self._askers = Askers()
        self.has_concluded = False
        self._is_running = False
        self._wake = asyncio.Event()
        self._last_turn = now

    def status(self) -> Status:
        """What ``/status`` says now."""
        self._note_sleep()
        return status.build(
            self._verdict,
            self._counters,
            self._learning.facts,
            self._openings,
            self._gateway,
            self._sign_ins,
            now=self._clock(),
            wall=self._wall(),
            down_until=self._down_until(),
            tickle_due=self._attention.tickle_due if timing.tickles(self._verdict) else None,
            login_hint=self._settings.login_hint,
            penalty_s=self._pacing.penalty_left(),
        )

    @property
    def is_turning(self) -> bool:
        """Whether the loop made a turn lately: each takes seconds."""
        return self._clock() - self._last_turn < _STALLED_S

    def watch(self) -> None:
        """Somebody is at the login page: look often for a minute."""
        self._attention.watch(self._clock())
        if self._verdict.state is not SessionState.AUTHENTICATED:
            self.probe_soon()

    def note_signing_in(self) -> None:
        """Somebody sends the forms of the sign-in: look often, whatever the state."""
        self._attention.watch_sign_in(self._clock())
        self.probe_soon()

    def note_session_cookie(self) -> None:
        """IBKR handed out another session: what was learnt before says nothing about it."""
        self._begin_sign_in("the sign-in gave another session")
        self._show(expect_session(self._verdict, now=self._clock()))
        self._openings.expect()
        self.note_signing_in()

    def note_signed_in(self) -> None:
        """IBKR's last page of a sign-in was shown: look at once, and open the session if that is the keeper's part."""
        known_at = self._sign_ins.known_at
        if known_at is None or self._clock() - known_at > SIGN_IN_LASTS_S:
            self.note_session_cookie()
        elif self._verdict.state is not SessionState.AUTHENTICATED:
            self._openings.expect()
        self.note_signing_in()
        self._attention.look_at_once(self._clock())
        self._wake.set()

    def note_answer(self) -> None:
        """IBKR gave a caller a good answer: it is not out of reach."""
        self._answered_at = self._clock()

    def probe_soon(self) -> None:
        """Somebody was told by IBKR what the state does not say: look soon."""
        if not self._verdict.timeouts:
            self._attention.look_soon(self._clock())
            self._wake.set()

    def set_policy(self, body: object) -> None:
        """Take the owner's word about opening; InvalidRequest when it is none."""
        self._openings.set_policy(body)
        self._wake.set()

    def names_another(self, instance: str | None) -> bool:
        """Whether a request means another gateway than this one."""
        return instance is not None and instance != self._gateway.instance

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
        if self._verdict.state is not SessionState.AUTHENTICATED:
            self._askers.add(asker)
            self._wake.set()
            await asker.answer
        return self.status()

    def _check_may_reopen(self, asker: Asker) -> None:
        if not self._is_running:
            raise UpstreamUnreachable("The session keeper is not running.")
        refused = self._openings.refuse(self._verdict, is_person=asker.is_person, compete=asker.compete)
        if refused is not None:
            raise refused

    async def run(self) -> None:
        """Probe for ever, one request at a time: each holds one of the gateway's five slots."""
        self._is_running = True
        try:
            while True:
                self._last_turn = self._clock()
                self._note_sleep()
                self._note_silence(self._last_turn)
                await self._turn(self._last_turn)
        finally:
            self._is_running = False
            self._askers.end(UpstreamUnreachable("The session keeper stopped."))

    async def _turn(self, now: float) -> None:
        attention = self._attention
        if self._is_opening_due(now):
            await self._reopen(compete=self._settings.compete_at_sign_in, is_counted=False)
        elif self._askers:
            await self._serve_asker()
        elif now >= attention.probe_due:
            await self._probe()
        elif now >= attention.tickle_due and attention.may_tickle(self._verdict, now):
            await self._tickle()
        elif self._is_own_turn_to_reopen(now):
            await self._reopen(compete=False)
        elif now >= attention.busy_until and self._learning.is_due(self._verdict.state, now):
            await self._learning.learn(is_open=self._verdict.state is SessionState.AUTHENTICATED)
        else:
            await self._rest(now)

    async def _serve_asker(self) -> None:
        # The answer of a probe that was under way may have changed what is allowed, so it is checked again.
        # A caller that went away gets what it asked for all the same: somebody wanted it.
        with self._askers.next() as asker:
            self._check_may_reopen(asker)
            if self._verdict.state is not SessionState.AUTHENTICATED:
                await self._reopen(compete=asker.compete, is_counted=not asker.is_person)

    async def _rest(self, now: float) -> None:
        attention = self._attention
        due = [attention.probe_due]
        if attention.may_tickle(self._verdict, now):
            due.append(attention.tickle_due)
        opens = (self._openings.try_at(self._verdict), self._opens_at_sign_in())
        due.extend(at for at in opens if at is not None)
        if self._learning.is_due(self._verdict.state, max(now, self._learning.due)):
            due.append(max(self._learning.due, attention.busy_until))
        self._wake.clear()
        try:
            async with asyncio.timeout(max(_SHORTEST_REST_S, min(min(due) - now, _LONGEST_REST_S))):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _probe(self) -> None:
        if self._attention.probes_by_tickle(self._verdict, self._clock()):
            await self._tickle()
            return
        number = self._sign_ins.number
        result, body = await self._poller.ask(
            "get_auth_status", limit_s=self._attention.limit_s(self._verdict, self._clock())
        )
        if number != self._sign_ins.number:
            return
        self._identity.learn(body)
        if result.outcome is Outcome.ALIVE:
            result = replace(result, outcome=Outcome.BROKEN, detail="IBKR's answer lacks the session's flags")
        self._conclude(result)

    async def _tickle(self) -> None:
        number = self._sign_ins.number
        result, _ = await self._poller.ask("tickle", limit_s=self._limit_s())
        now = self._clock()
        self._attention.tickled(result, now)
        self._metrics.tickle.labels("ok" if result.outcome in _GOOD else result.outcome.value).inc()
        if result.outcome in _GOOD:
            self._counters.tickled, self._counters.tickle_failures = now, 0
            self._metrics.tickle_last_success.set(self._wall())
        else:
            self._counters.tickle_failures += 1
        # What a question that began before a sign-in was answered says nothing about the session after it.
        if number == self._sign_ins.number:
            if result.outcome in _GOOD:
                self._learning.take_tickle(result)
            self._conclude(result)

    def _limit_s(self) -> float | None:
        return self._attention.limit_s(self._verdict, self._clock())

    async def _reopen(self, *, compete: bool, is_counted: bool = True) -> None:
        number = self._sign_ins.number
        self._openings.begin(is_counted=is_counted)
        opening = await self._ladder.climb(self._openings.rung, compete=compete)
        self._openings.end(opening)
        result = opening.result
        self._metrics.reauth.labels(opening.label).inc()
        log.info("asked to open the brokerage session", result=opening.label, rung=opening.rung, detail=result.detail)
        # A refusal of the opening says nothing of the session's state; the next look does.
        if opening.label not in ("refused", "no_rights") and number == self._sign_ins.number:
            self._conclude(result)
        soon_s = timing.OPENED_S if opening.label == "opened" else timing.AFTER_CHANGE_S
        self._attention.look_soon(self._clock(), soon_s)

    def _down_until(self) -> float | None:
        """When the announced maintenance ends that is on now, in epoch seconds."""
        return calendar.maintenance_until(self._wall()) if self._settings.maintenance_hours else None

    def _conclude(self, result: ProbeResult) -> None:
        now, before = self._clock(), self._verdict
        if result.outcome is Outcome.TIMEOUT:
            self._attention.is_slow(now)
            if self._answered_at > now - PATIENT_LIMIT_S:
                # Callers get their answers: one that is late is no sign of a stuck gateway.
                before = replace(before, timeouts=0)
        self._gateway.note(result, now, self._wall())
        verdict = decide(
            result,
            before,
            now=now,
            started=self._started,
            in_maintenance=self._down_until() is not None,
            is_portfolio_only=self._openings.opener == "nobody",
        )
        before, self._verdict = self._verdict, verdict
        if result.latency_ms is not None:
            self._counters.latency_ms = result.latency_ms
        if self._openings.is_unsure and result.outcome not in _UNANSWERED:
            # It may wait in the gateway's queue and go out with the first thing that does.
            self._openings.is_unsure = False
            self._openings.delay(GAP_S)
        self._openings.follow(before, verdict)
        self.has_concluded = self.has_concluded or verdict.state is not SessionState.STARTING
        if verdict.state is not before.state:
            self._change(before, verdict, now)
        self._attention.concluded(result, verdict, now, self._gateway.next_tickle(now))
        self._openings.delay(self._attention.busy_until - now)

    def _change(self, before: Verdict, verdict: Verdict, now: float) -> None:
        log.info("session state changed", state=verdict.state.value, before=before.state.value, reason=verdict.reason)
        self._metrics.show_state(verdict.state)
        if not timing.tickles(before):
            self._attention.tickle_due = now
        if verdict.state is SessionState.LOGIN_REQUIRED:
            if self._gateway.note_signed_out(before.state, now - before.since, now):
                log.warning("IBKR's program ended the sign-in by itself: it tickles, replace it")
            self._learning.forget()
        elif verdict.state in SIGNED_IN:
            known_at = self._sign_ins.known_at
            if before.state is SessionState.LOGIN_REQUIRED and (known_at is None or known_at < before.since):
                self._begin_sign_in("somebody signed in")
                self._openings.expect()
            elif known_at is None:
                self._number_sign_in("somebody is signed in")
        if verdict.state is SessionState.AUTHENTICATED:
            self._learning.doubt()
            if self._openings.is_expected:
                self._gateway.note_opened(now)
            self._openings.expect(False)

    def _begin_sign_in(self, reason: str) -> None:
        self._number_sign_in(reason)
        self._openings.sign_in()

    def _number_sign_in(self, reason: str) -> None:
        self._sign_ins.note(self._wall(), self._clock())
        log.info("another sign-in", number=self._sign_ins.number, reason=reason)
        self._learning.begin()

    def _note_sleep(self) -> None:
        """Forget what was seen before the machine slept."""
        slept_s = self._sleep.slept_s()
        if not slept_s:
            return
        now = self._clock()
        log.info("the machine slept, or its calendar was set", seconds=round(slept_s))
        self._show(forget(self._verdict, "the machine slept", now=now, concluded_at=now - slept_s))
        self._learning.doubt()
        self._attention.probe_due = self._attention.tickle_due = now
        self._wake.set()

    def _show(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._metrics.show_state(verdict.state)

    def _note_silence(self, now: float) -> None:
        """An open session of which nothing was heard for as long as IBKR keeps an idle one is not known to be open."""
        heard_at = max(self._verdict.concluded_at, self._answered_at)
        if self._verdict.state is SessionState.AUTHENTICATED and now - heard_at >= timing.IDLE_S:
            busy = self._verdict.busy
            self._show(replace(forget(self._verdict, "nothing was heard of the session", now=now), busy=busy))

    def _opens_at_sign_in(self) -> float | None:
        """When the opening that a sign-in is due (loop seconds), None when there is none."""
        known_at = self._sign_ins.known_at
        if known_at is None or self._verdict.concluded_at < known_at:
            return None
        at = self._openings.opens_at_sign_in(self._verdict)
        return None if at is None else max(at, self._attention.busy_until)

    def _is_opening_due(self, now: float) -> bool:
        at = self._opens_at_sign_in()
        return at is not None and now >= at

    def _is_own_turn_to_reopen(self, now: float) -> bool:
        due = self._openings.try_at(self._verdict)
        return due is not None and now >= due
