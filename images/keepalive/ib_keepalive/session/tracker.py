"""What is known of the session: the state, what follows from each probe, and what others noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.session import calendar, status, timing
from ib_keepalive.session.attention import Attention
from ib_keepalive.session.gateway import GatewayProcess
from ib_keepalive.session.journal import SessionJournal
from ib_keepalive.session.ladder import Identity
from ib_keepalive.session.learning import Learning
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.openings import SIGN_IN_LASTS_S, Openings
from ib_keepalive.session.poller import PATIENT_LIMIT_S, Poller
from ib_keepalive.session.reopening import GAP_S
from ib_keepalive.session.sign_in import SignIns
from ib_keepalive.session.sleep import Sleep
from ib_keepalive.session.states import Verdict, decide, expect_session, forget
from ib_keepalive.settings import KeepaliveSettings
from ibkr.session import SIGNED_IN, Glance, SessionState, Status, is_loading

log = structlog.get_logger("ib_keepalive.session")

_UNANSWERED = (Outcome.TIMEOUT, Outcome.SILENT, Outcome.REFUSED, Outcome.BROKEN)


class SessionTracker:
    """Nothing here waits or sends. ``changed`` is set when the keeper should look at what is due.

    ``penalty_left``: seconds for which IBKR refuses all requests. ``trouble``: why IBKR refuses the OAuth keys.
    """

    def __init__(
        self,
        settings: KeepaliveSettings,
        metrics: Metrics,
        poller: Poller,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        penalty_left: Callable[[], float],
    ) -> None:
        self._penalty_left = penalty_left
        self.trouble: Callable[[], str | None] = lambda: None
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._started = now = clock()
        self.verdict = Verdict(SessionState.STARTING, since=now, concluded_at=now)
        record = settings.record_file
        journal = SessionJournal(None if record is None else record.with_suffix(".session.json"))
        self.identity = Identity()
        self.openings = Openings(settings, journal, clock=clock, wall=wall)
        self.sign_ins = SignIns(journal)
        self.counters = status.KeeperCounters()
        self.attention = Attention(now)
        self.learning = Learning(
            poller,
            self.identity,
            self.sign_ins,
            clock=clock,
            another=lambda: self._begin_sign_in("user or accounts are others than before"),
            validates=settings.backend == "gateway",
        )
        self._gateway = GatewayProcess(
            journal,
            settings.brokerage_login,
            settings.instance,
            settings.gateway_build,
            is_program=settings.backend == "gateway",
        )
        self._sleep = Sleep(clock, wall)
        self._answered_at = now
        self.has_concluded = False
        self.changed = asyncio.Event()

    def status(self) -> Status:
        """What ``/status`` says now."""
        self.note_sleep()
        return status.build(
            self.verdict,
            self.counters,
            self.learning.facts,
            self.openings,
            self._gateway,
            self.sign_ins,
            now=self._clock(),
            wall=self._wall(),
            down_until=self._down_until(),
            tickle_due=self.attention.tickle_due if timing.tickles(self.verdict) else None,
            login_hint=self._settings.login_hint,
            penalty_s=self._penalty_left(),
            trouble=self.trouble(),
            is_by_keys=self._settings.backend != "gateway",
        )

    def glance(self) -> Glance:
        """Of what ``status`` says, that on which every question of a caller depends."""
        self.note_sleep()
        verdict = self.verdict
        epoch = self._wall() - self._clock()
        started = self._gateway.started
        return Glance(
            verdict.state,
            verdict.since + epoch,
            self.learning.facts.mode if verdict.state in SIGNED_IN else "unknown",
            None if started is None else started + epoch,
            self.sign_ins.number,
            is_loading=is_loading(verdict.flags),
        )

    def watch(self) -> None:
        """Somebody is at the login page: look often for a minute."""
        self.attention.watch(self._clock())
        if self.verdict.state is not SessionState.AUTHENTICATED:
            self.probe_soon()

    def note_signing_in(self) -> None:
        """Somebody sends the forms of the sign-in: look often, whatever the state."""
        self.attention.watch_sign_in(self._clock())
        self.probe_soon()

    def note_session_cookie(self) -> None:
        """IBKR handed out another session: what was learnt before says nothing about it."""
        self._begin_sign_in("the sign-in gave another session")
        self._show(expect_session(self.verdict, now=self._clock()))
        self.openings.expect()
        self.note_signing_in()

    def note_signed_in(self) -> None:
        """IBKR's last page of a sign-in was shown: look at once, and open the session if that is the keeper's part."""
        known_at = self.sign_ins.known_at
        if known_at is None or self._clock() - known_at > SIGN_IN_LASTS_S:
            self.note_session_cookie()
        elif self.verdict.state is not SessionState.AUTHENTICATED:
            self.openings.expect()
        self.note_signing_in()
        self.attention.look_at_once(self._clock())
        self.changed.set()

    def note_live_token(self) -> None:
        """IBKR took the OAuth keys: a sign-in without a person, whose session is to be opened."""
        self.note_session_cookie()
        self.attention.look_at_once(self._clock())

    def note_answer(self) -> None:
        """IBKR gave a caller a good answer: it is not out of reach."""
        self._answered_at = self._clock()

    def note_list(self, operation: str, body: object) -> None:
        """IBKR told a caller its accounts: those of another user are another sign-in."""
        number = self.sign_ins.number
        self.learning.take_list(operation, body)
        if self.sign_ins.number != number:
            self.changed.set()

    def probe_soon(self) -> None:
        """Somebody was told by IBKR what the state does not say: look soon."""
        if not self.verdict.timeouts:
            self.attention.look_soon(self._clock())
            self.changed.set()

    def set_policy(self, body: object) -> None:
        """Take the owner's word about opening; InvalidRequest when it is none."""
        self.openings.set_policy(body)
        self.changed.set()

    def names_another(self, instance: str | None) -> bool:
        """Whether a request means another gateway than this one."""
        return instance is not None and instance != self._gateway.instance

    def _down_until(self) -> float | None:
        """When the announced maintenance ends that is on now, in epoch seconds."""
        return calendar.maintenance_until(self._wall()) if self._settings.maintenance_hours else None

    def conclude(self, result: ProbeResult) -> None:
        """Take what a probe showed."""
        now, before = self._clock(), self.verdict
        if result.outcome is Outcome.TIMEOUT:
            self.attention.is_slow(now)
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
            is_portfolio_only=self.openings.opener == "nobody",
        )
        before, self.verdict = self.verdict, verdict
        if result.latency_ms is not None:
            self.counters.latency_ms = result.latency_ms
        if self.openings.is_unsure and result.outcome not in _UNANSWERED:
            # It may wait in the gateway's queue and go out with the first thing that does.
            self.openings.is_unsure = False
            self.openings.delay(GAP_S)
        self.openings.follow(before, verdict)
        self.has_concluded = self.has_concluded or verdict.state is not SessionState.STARTING
        if verdict.state is not before.state:
            self._change(before, verdict, now)
        self.attention.concluded(
            result, verdict, now, own_tickle=self._gateway.next_tickle(now), penalty_s=self._penalty_left()
        )
        self.openings.delay(self.attention.busy_until - now)

    def _change(self, before: Verdict, verdict: Verdict, now: float) -> None:
        log.info("session state changed", state=verdict.state.value, before=before.state.value, reason=verdict.reason)
        self._metrics.show_state(verdict.state)
        if not timing.tickles(before):
            self.attention.tickle_due = now
        if verdict.state is SessionState.LOGIN_REQUIRED:
            if self._gateway.note_signed_out(before.state, now - before.since, now):
                log.warning("IBKR's program ended the sign-in by itself: it tickles, replace it")
            self.learning.forget()
        elif verdict.state in SIGNED_IN:
            known_at = self.sign_ins.known_at
            if before.state is SessionState.LOGIN_REQUIRED and (known_at is None or known_at < before.since):
                self._begin_sign_in("somebody signed in")
                self.openings.expect()
            elif known_at is None:
                self._number_sign_in("somebody is signed in")
        if verdict.state is SessionState.AUTHENTICATED:
            self.learning.doubt()
            if self.openings.is_expected:
                self._gateway.note_opened(now)
            self.openings.expect(False)

    def _begin_sign_in(self, reason: str) -> None:
        self._number_sign_in(reason)
        self.openings.sign_in()

    def _number_sign_in(self, reason: str) -> None:
        self.sign_ins.note(self._wall(), self._clock())
        log.info("another sign-in", number=self.sign_ins.number, reason=reason)
        self.learning.begin()

    def note_sleep(self) -> None:
        """Forget what was seen before the machine slept."""
        slept_s = self._sleep.slept_s()
        if not slept_s:
            return
        now = self._clock()
        log.info("the machine slept, or its calendar was set", seconds=round(slept_s))
        self._show(forget(self.verdict, "the machine slept", now=now, concluded_at=now - slept_s))
        self.learning.doubt()
        self.attention.probe_due = self.attention.tickle_due = now
        self.changed.set()

    def _show(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self._metrics.show_state(verdict.state)

    def note_silence(self, now: float) -> None:
        """An open session of which nothing was heard for as long as IBKR keeps an idle one is not known to be open."""
        heard_at = max(self.verdict.concluded_at, self._answered_at)
        if self.verdict.state is SessionState.AUTHENTICATED and now - heard_at >= timing.IDLE_S:
            busy = self.verdict.busy
            self._show(replace(forget(self.verdict, "nothing was heard of the session", now=now), busy=busy))

    def opens_at_sign_in(self) -> float | None:
        """When the opening that a sign-in is due (loop seconds), None when there is none."""
        known_at = self.sign_ins.known_at
        if known_at is None or self.verdict.concluded_at < known_at:
            return None
        at = self.openings.opens_at_sign_in(self.verdict)
        return None if at is None else max(at, self.attention.busy_until)
