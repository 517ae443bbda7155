"""The session keeper: probes the gateway in turn, concludes the session's state and opens the session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.session import calendar, sign_in, status, timing
from ib_keepalive.session.askers import Asker, Askers
from ib_keepalive.session.gateway import GatewayProcess
from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.ladder import Identity, Ladder
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.openings import Openings
from ib_keepalive.session.poller import PATIENT_LIMIT_S, Pacing, Poller
from ib_keepalive.session.reopening import GAP_S
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
_WATCH_LASTS_S = 60.0
# From the session's cookies to the last page: a second factor lies between.
_SIGN_IN_LASTS_S = 300.0
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
            identify=self._validate,
            climbed=lambda rung, end: metrics.openings.labels(rung, end).inc(),
        )
        self._started = now = clock()
        self._verdict = Verdict(SessionState.STARTING, since=now, concluded_at=now)
        record = settings.record_file
        journal = SessionJournal(None if record is None else record.with_suffix(".session.json"))
        self._openings = Openings(settings, journal, clock=clock, wall=wall)
        self._sign_ins = sign_in.SignIns(journal)
        self._gateway = GatewayProcess(journal, settings.brokerage_login, settings.instance, settings.gateway_build)
        self._counters = status.KeeperCounters()
        self._facts = sign_in.SignInFacts()
        self._facts_due = now
        self._accounts_due = now
        self._validate_due = now + sign_in.RETRY_S
        self._sso_left: tuple[float, float] | None = None
        self._probe_due = now
        self._tickle_due = now
        self._watched_until = now
        self._signing_in_until = now
        self._busy_until = now
        self._slow_until = now
        self._answered_at = now
        # A keeper that starts cannot know whether somebody signed in since the one before it.
        self._number_known_at: float | None = None
        self._is_fresh = False
        self._askers = Askers()
        self.has_concluded = False
        self._is_running = False
        self._wake = asyncio.Event()
        self._last_turn = now
        self._offset = wall() - now

    def status(self) -> Status:
        """What ``/status`` says now."""
        self._note_sleep()
        return status.build(
            self._verdict,
            self._counters,
            self._facts,
            self._openings,
            self._gateway,
            self._sign_ins,
            now=self._clock(),
            wall=self._wall(),
            down_until=self._down_until(),
            tickle_due=self._tickle_due if timing.tickles(self._verdict) else None,
            login_hint=self._settings.login_hint,
            penalty_s=self._pacing.penalty_left(),
        )

    @property
    def is_turning(self) -> bool:
        """Whether the loop made a turn lately: each takes seconds."""
        return self._clock() - self._last_turn < _STALLED_S

    def watch(self) -> None:
        """Somebody is at the login page: look often for a minute."""
        self._watched_until = self._clock() + _WATCH_LASTS_S
        if self._verdict.state is not SessionState.AUTHENTICATED:
            self.probe_soon()

    def note_signing_in(self) -> None:
        """Somebody sends the forms of the sign-in: look often, whatever the state."""
        self._signing_in_until = self._clock() + _WATCH_LASTS_S
        self.watch()
        self.probe_soon()

    def note_session_cookie(self) -> None:
        """IBKR handed out another session: what was learnt before says nothing about it."""
        self._begin_sign_in("the sign-in gave another session")
        self._verdict = expect_session(self._verdict, now=self._clock())
        self._metrics.show_state(self._verdict.state)
        self._is_fresh = True
        self.note_signing_in()

    def note_signed_in(self) -> None:
        """IBKR's last page of a sign-in was shown: look at once, and open the session if that is the keeper's part."""
        known_at = self._number_known_at
        if known_at is None or self._clock() - known_at > _SIGN_IN_LASTS_S:
            self.note_session_cookie()
        self.note_signing_in()
        self._probe_due = self._clock()
        self._wake.set()

    def note_answer(self) -> None:
        """IBKR gave a caller a good answer: it is not out of reach."""
        self._answered_at = self._clock()

    def probe_soon(self) -> None:
        """Somebody was told by IBKR what the state does not say: look soon."""
        if not self._verdict.timeouts:
            self._probe_due = max(min(self._probe_due, self._clock() + timing.WATCHED_S), self._busy_until)
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
        if self._is_opening_due(now):
            self._is_fresh = False
            await self._reopen(compete=self._settings.compete_at_sign_in, is_counted=False)
        elif self._askers:
            await self._serve_asker()
        elif now >= self._probe_due:
            await self._probe()
        elif now >= self._tickle_due and self._tickles(now):
            await self._tickle()
        elif self._is_own_turn_to_reopen(now):
            await self._reopen(compete=False)
        elif self._lacks_facts(now):
            await self._learn()
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
        due = [self._probe_due]
        if self._tickles(now):
            due.append(self._tickle_due)
        own = self._openings.try_at(self._verdict)
        due.extend(() if own is None else (own,))
        if self._is_fresh and self._may_open_at_sign_in():
            due.append(self._openings.earliest)
        if self._lacks_facts(max(now, self._facts_due)):
            due.append(self._facts_due)
        self._wake.clear()
        try:
            async with asyncio.timeout(max(_SHORTEST_REST_S, min(min(due) - now, _LONGEST_REST_S))):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _probe(self) -> None:
        if timing.probes_by_tickle(self._verdict):
            await self._tickle()
            return
        result, body = await self._poller.ask("get_auth_status", limit_s=self._limit_s())
        self._identity.learn(body)
        if result.outcome is Outcome.ALIVE:
            result = replace(result, outcome=Outcome.BROKEN, detail="IBKR's answer lacks the session's flags")
        self._conclude(result)

    async def _tickle(self) -> None:
        result, _ = await self._poller.ask("tickle", limit_s=self._limit_s())
        now = self._clock()
        self._tickle_due = now + timing.TICKLE_S
        self._metrics.tickle.labels("ok" if result.outcome in _GOOD else result.outcome.value).inc()
        if result.outcome in _GOOD:
            self._counters.tickled, self._counters.tickle_failures = now, 0
            self._metrics.tickle_last_success.set(self._wall())
            self._learn_facts(sign_in.from_tickle(self._facts, result, self._sso_left, now))
            self._sso_left = None if result.sso_expires_s is None else (result.sso_expires_s, now)
        else:
            self._counters.tickle_failures += 1
        self._conclude(result)

    def _limit_s(self) -> float | None:
        """The second look, and those at a slow IBKR, wait longer: slow is not dead."""
        return PATIENT_LIMIT_S if self._verdict.timeouts or self._clock() < self._slow_until else None

    async def _reopen(self, *, compete: bool, is_counted: bool = True) -> None:
        self._openings.begin(is_counted=is_counted)
        opening = await self._ladder.climb(self._openings.rung, compete=compete)
        self._openings.end(opening)
        result = opening.result
        self._metrics.reauth.labels(opening.label).inc()
        log.info("asked to open the brokerage session", result=opening.label, rung=opening.rung, detail=result.detail)
        # A refusal of the opening says nothing of the session's state; the next look does.
        if opening.label not in ("refused", "no_rights"):
            self._conclude(result)
        soon_s = timing.OPENED_S if opening.label == "opened" else timing.AFTER_CHANGE_S
        self._probe_due = min(self._probe_due, self._clock() + soon_s)

    def _down_until(self) -> float | None:
        """When the announced maintenance ends that is on now, in epoch seconds."""
        return calendar.maintenance_until(self._wall()) if self._settings.maintenance_hours else None

    def _conclude(self, result: ProbeResult) -> None:
        now, before = self._clock(), self._verdict
        if result.outcome is Outcome.TIMEOUT:
            self._slow_until = now + timing.SLOW_LASTS_S
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
        watched = now < (self._signing_in_until if verdict.state is SessionState.AUTHENTICATED else self._watched_until)
        wait = timing.next_probe_s(result, verdict, now=now, watched=watched)
        if result.outcome is Outcome.BUSY:
            self._busy_until = now + wait
            self._openings.delay(wait)
        own_tickle = self._gateway.next_tickle(now)
        if own_tickle is not None and verdict.state in SIGNED_IN and result.outcome is not Outcome.BUSY:
            wait = timing.before_own_tickle_s(wait, own_tickle - now)
        # A tickle without flags leaves the question open.
        self._probe_due = now if result.outcome is Outcome.ALIVE else now + wait

    def _change(self, before: Verdict, verdict: Verdict, now: float) -> None:
        log.info("session state changed", state=verdict.state.value, before=before.state.value, reason=verdict.reason)
        self._metrics.show_state(verdict.state)
        if not timing.tickles(before):
            self._tickle_due = now
        if verdict.state is SessionState.LOGIN_REQUIRED:
            if self._gateway.note_signed_out(before.state, now - before.since, now):
                log.warning("IBKR's program ended the sign-in by itself: it tickles, replace it")
            self._forget_facts(now)
        elif verdict.state in SIGNED_IN:
            known_at = self._number_known_at
            if before.state is SessionState.LOGIN_REQUIRED and (known_at is None or known_at < before.since):
                self._begin_sign_in("somebody signed in")
                self._is_fresh = True
            elif known_at is None:
                self._number_sign_in("somebody is signed in")
        if verdict.state is SessionState.AUTHENTICATED:
            self._facts = replace(self._facts, accounts_read=False)
            self._facts_due = now
            if self._is_fresh:
                self._gateway.note_opened(now)
            self._is_fresh = False

    def _begin_sign_in(self, reason: str) -> None:
        self._number_sign_in(reason)
        self._openings.sign_in()

    def _number_sign_in(self, reason: str) -> None:
        now = self._clock()
        self._number_known_at = now
        self._sign_ins.note(self._wall())
        log.info("another sign-in", number=self._sign_ins.number, reason=reason)
        self._forget_facts(now)
        self._validate_due = max(self._validate_due, now + sign_in.RETRY_S)

    def _forget_facts(self, now: float) -> None:
        self._facts, self._facts_due, self._sso_left = sign_in.SignInFacts(), now, None
        self._identity.forget_user()

    def _note_sleep(self) -> None:
        """Forget what was seen before the machine slept: the loop's clock stands still meanwhile."""
        now = self._clock()
        offset, slept_s = self._wall() - now, self._wall() - now - self._offset
        self._offset = offset
        if slept_s < timing.SLEPT_S:
            return
        log.info("the machine slept, or its calendar was set", seconds=round(slept_s))
        self._verdict = forget(self._verdict, "the machine slept", now=now, concluded_at=now - slept_s)
        self._metrics.show_state(self._verdict.state)
        self._facts = replace(self._facts, accounts_read=False)
        self._probe_due = self._tickle_due = now
        self._wake.set()

    def _note_silence(self, now: float) -> None:
        """An open session of which nothing was heard for as long as IBKR keeps an idle one is not known to be open."""
        heard_at = max(self._verdict.concluded_at, self._answered_at)
        if self._verdict.state is SessionState.AUTHENTICATED and now - heard_at >= timing.IDLE_S:
            busy = self._verdict.busy
            self._verdict = replace(forget(self._verdict, "nothing was heard of the session", now=now), busy=busy)
            self._metrics.show_state(self._verdict.state)

    def _may_open_at_sign_in(self) -> bool:
        state = self._verdict.state
        is_open_to = state is SessionState.REOPENING or (
            state is SessionState.COMPETING and self._settings.compete_at_sign_in
        )
        is_seen = self._number_known_at is not None and self._verdict.concluded_at >= self._number_known_at
        return is_open_to and is_seen and self._openings.opener == "keeper"

    def _is_opening_due(self, now: float) -> bool:
        return self._is_fresh and self._may_open_at_sign_in() and now >= max(self._openings.earliest, self._busy_until)

    def _is_own_turn_to_reopen(self, now: float) -> bool:
        due = self._openings.try_at(self._verdict)
        return due is not None and now >= due

    def _tickles(self, now: float) -> bool:
        # A gateway that leaves an answer out gets one request at a time, and not before the next look is due.
        return timing.tickles(self._verdict) and now >= self._busy_until and not self._verdict.timeouts

    def _lacks_facts(self, now: float) -> bool:
        state = self._verdict.state
        if now < max(self._busy_until, self._facts_due):
            return False
        if state is SessionState.PORTFOLIO_ONLY:
            return not self._facts.validated
        return state is SessionState.AUTHENTICATED and (self._facts.is_wanting or now >= self._accounts_due)

    async def _learn(self) -> None:
        now = self._clock()
        self._facts = replace(self._facts, tries=self._facts.tries + 1)
        self._facts_due = now + self._facts.retry_s
        is_open = self._verdict.state is SessionState.AUTHENTICATED
        if is_open and (not self._facts.accounts_read or now >= self._accounts_due):
            self._accounts_due = now + sign_in.AGAIN_S
            body = await self._read("list_brokerage_accounts")
            self._learn_facts(sign_in.from_accounts(self._facts, body))
        if not self._facts.validated and not await self._validate() and (self._facts.accounts_read or not is_open):
            self._facts_due = self._validate_due

    async def _validate(self) -> bool:
        """Ask who is signed in, unless that was asked within a minute."""
        # Asked twice in a minute, it costs ten minutes of refusals. The gateway asks it at a sign-in, and this
        # keeper may be a restarted one, whose predecessor asked a moment ago.
        now = self._clock()
        if now < self._validate_due:
            return False
        self._validate_due = now + sign_in.RETRY_S
        body = await self._read("validate_sign_in")
        self._identity.learn(body)
        self._learn_facts(sign_in.from_validation(self._facts, body))
        return True

    def _learn_facts(self, facts: sign_in.SignInFacts) -> None:
        """Take ``facts``, which may turn out to be those of another sign-in than before."""
        if not sign_in.is_another(self._facts, facts):
            self._facts = facts
            return
        self._begin_sign_in("user or accounts are others than before")

    async def _read(self, operation: str) -> Any:
        return (await self._poller.ask(operation))[1]
