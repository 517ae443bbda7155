"""The session keeper: probes the gateway in turn, concludes the session's state and opens the session when asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import structlog

from ib_keepalive.metrics import Metrics
from ib_keepalive.session import calendar, reopening, sign_in, status, timing
from ib_keepalive.session.observation import Outcome, ProbeResult
from ib_keepalive.session.poller import Pacing, Poller
from ib_keepalive.session.states import Verdict, decide
from ib_keepalive.settings import KeepaliveSettings
from ibkr.errors import IbError, UpstreamUnreachable
from ibkr.session import SessionState, Status

log = structlog.get_logger("ib_keepalive.session.keeper")

_STALLED_S = 120.0
# A clock coarser than the times it is compared with must not make the loop spin.
_SHORTEST_REST_S = 0.001
_LONGEST_REST_S = 60.0
_WATCH_LASTS_S = 60.0
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
        self._clock = asyncio.get_running_loop().time
        self._poller = Poller(client, metrics, pacing)
        self._started = now = self._clock()
        self._verdict = Verdict(SessionState.STARTING, since=now, concluded_at=now)
        # The keeper may be a restarted one: its predecessor may have asked a moment ago.
        self._counters = status.KeeperCounters(reopen_earliest=now + reopening.GAP_S)
        self._facts = sign_in.SignInFacts()
        self._facts_due = now
        self._validate_due = now + sign_in.RETRY_S
        self._sso_left: tuple[float, float] | None = None
        self._budget = reopening.Budget()
        self._probe_due = now
        self._tickle_due = now
        self._watched_until = now
        self._busy_until = now
        self._unsure_reopen = False
        self._was_refused = False
        self._askers: list[asyncio.Future[None]] = []
        self._is_running = False
        self._wake = asyncio.Event()
        self._last_turn = now

    def status(self) -> Status:
        """What ``/status`` says now."""
        return status.build(
            self._verdict,
            self._counters,
            self._facts,
            now=self._clock(),
            wall=self._wall(),
            down_until=self._down_until(),
            tickle_due=self._tickle_due if timing.tickles(self._verdict.state) else None,
            build_name=self._settings.gateway_build,
            login_hint=self._settings.login_hint,
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

    def probe_soon(self) -> None:
        """Somebody was told by IBKR what the state does not say: look soon."""
        if not self._verdict.timeouts:
            self._probe_due = max(min(self._probe_due, self._clock() + timing.WATCHED_S), self._busy_until)
            self._wake.set()

    async def run(self) -> None:
        """Probe for ever, one request at a time: each holds one of the gateway's five slots."""
        self._is_running = True
        try:
            while True:
                self._last_turn = self._clock()
                await self._turn(self._last_turn)
        finally:
            self._is_running = False
            for asker in self._askers:
                if not asker.done():
                    asker.set_exception(UpstreamUnreachable("The session keeper stopped."))

    async def _turn(self, now: float) -> None:
        if self._askers:
            await self._serve_askers()
        elif now >= self._probe_due:
            await self._probe()
        elif now >= self._tickle_due and self._tickles(now):
            await self._tickle()
        elif self._is_own_turn_to_reopen(now):
            self._budget = reopening.spend(self._budget, now)
            await self._reopen()
        elif self._lacks_facts(now):
            await self._learn()
        else:
            await self._rest(now)

    async def reauthenticate(self) -> Status:
        """Open the brokerage session; the status after IBKR's answer. Nothing is sent when it is open already.

        IbError when it must not be asked for now.
        """
        self._check_may_reopen()
        if self._verdict.state is not SessionState.AUTHENTICATED:
            asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._askers.append(asker)
            self._wake.set()
            await asker
        return self.status()

    def _check_may_reopen(self) -> None:
        if not self._is_running:
            raise UpstreamUnreachable("The session keeper is not running.")
        refused = reopening.refuse(
            self._verdict,
            now=self._clock(),
            earliest=self._counters.reopen_earliest,
            compete=self._settings.compete,
            login=self._settings.login_hint,
        )
        if refused is not None:
            raise refused

    async def _serve_askers(self) -> None:
        # The answer of a probe that was under way may have changed what is allowed, so it is checked again.
        # A caller that went away gets what it asked for all the same: somebody wanted it.
        while self._askers:
            asker = self._askers[0]
            try:
                self._check_may_reopen()
            except IbError as refused:
                if not asker.done():
                    asker.set_exception(refused)
            else:
                if self._verdict.state is not SessionState.AUTHENTICATED:
                    await self._reopen()
                if not asker.done():
                    asker.set_result(None)
            self._askers.remove(asker)

    async def _rest(self, now: float) -> None:
        due = [self._probe_due]
        if self._tickles(now):
            due.append(self._tickle_due)
        if self._settings.auto_reopen:
            own = reopening.try_at(self._budget, self._verdict, self._counters.reopen_earliest)
            due.extend(() if own is None else (own,))
        if self._lacks_facts(max(now, self._facts_due)):
            due.append(self._facts_due)
        self._wake.clear()
        try:
            # At least a millisecond: a clock of coarse steps would never reach what lies within one.
            async with asyncio.timeout(max(0.001, min(min(due) - now, _LONGEST_REST_S))):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _probe(self) -> None:
        result, _ = await self._poller.ask("get_auth_status")
        if result.outcome is Outcome.ALIVE:
            result = replace(result, outcome=Outcome.BROKEN, detail="IBKR's answer lacks the session's flags")
        self._conclude(result)

    async def _tickle(self) -> None:
        result, _ = await self._poller.ask("tickle")
        now = self._clock()
        self._tickle_due = now + timing.TICKLE_S
        self._metrics.tickle.labels("ok" if result.outcome in _GOOD else result.outcome.value).inc()
        if result.outcome in _GOOD:
            self._counters.tickled, self._counters.tickle_failures = now, 0
            self._metrics.tickle_last_success.set(self._wall())
            self._facts = sign_in.from_tickle(self._facts, result.sso_expires_s, self._sso_left, now)
            self._sso_left = None if result.sso_expires_s is None else (result.sso_expires_s, now)
        else:
            self._counters.tickle_failures += 1
        self._conclude(result)

    async def _reopen(self) -> None:
        now = self._clock()
        self._counters.reopened, self._counters.reopen_earliest = now, now + reopening.GAP_S
        body = {"publish": True, "compete": self._settings.compete}
        result, _ = await self._poller.ask("open_brokerage_session", body)
        # It may have waited for its turn, so the gap counts from its end.
        self._counters.reopen_earliest = self._clock() + reopening.GAP_S
        shown = "accepted" if result.outcome in _GOOD else result.outcome.value
        self._counters.reopen_result = shown
        self._unsure_reopen = result.outcome in _UNANSWERED
        self._metrics.reauth.labels(shown).inc()
        log.info("asked to open the brokerage session", result=shown, detail=result.detail)
        self._conclude(result)
        self._probe_due = min(self._probe_due, self._clock() + timing.AFTER_CHANGE_S)

    def _down_until(self) -> float | None:
        """When the announced maintenance ends that is on now, in epoch seconds."""
        return calendar.maintenance_until(self._wall()) if self._settings.maintenance_hours else None

    def _conclude(self, result: ProbeResult) -> None:
        now, before = self._clock(), self._verdict
        is_down = self._down_until() is not None
        self._verdict = verdict = decide(result, before, now=now, started=self._started, in_maintenance=is_down)
        if result.latency_ms is not None:
            self._counters.latency_ms = result.latency_ms
        self._note_gateway(result, now)
        self._guard_reopening(result, before.state, verdict.state, now)
        self._budget = reopening.follow(self._budget, verdict.state, now)
        if verdict.state is SessionState.LOGIN_REQUIRED:
            self._facts, self._facts_due, self._sso_left = sign_in.SignInFacts(), now, None
        if verdict.state is not before.state:
            log.info(
                "session state changed", state=verdict.state.value, before=before.state.value, reason=verdict.reason
            )
            self._metrics.show_state(verdict.state)
            if not timing.tickles(before.state):
                self._tickle_due = now
        wait = timing.next_probe_s(result, verdict, now=now, watched=now < self._watched_until)
        if result.outcome is Outcome.BUSY:
            self._busy_until = now + wait
            self._counters.reopen_earliest = max(self._counters.reopen_earliest, self._busy_until)
        # A tickle without flags leaves the question open.
        self._probe_due = now if result.outcome is Outcome.ALIVE else now + wait

    def _note_gateway(self, result: ProbeResult, now: float) -> None:
        if result.outcome in (Outcome.REFUSED, Outcome.SILENT):
            self._was_refused, self._counters.gateway_started = True, None
        elif self._was_refused:
            self._was_refused, self._counters.gateway_started = False, now

    def _guard_reopening(self, result: ProbeResult, before: SessionState, state: SessionState, now: float) -> None:
        # After a sign-in the gateway opens the session itself. A request that got no answer may wait in its
        # queue and go out with the first thing that does.
        signed_in = before is SessionState.LOGIN_REQUIRED and state is not before
        if signed_in:
            self._validate_due = max(self._validate_due, now + sign_in.RETRY_S)
        if signed_in or (self._unsure_reopen and result.outcome not in _UNANSWERED):
            self._unsure_reopen = False
            self._counters.reopen_earliest = max(self._counters.reopen_earliest, now + reopening.GAP_S)

    def _is_own_turn_to_reopen(self, now: float) -> bool:
        if not self._settings.auto_reopen:
            return False
        due = reopening.try_at(self._budget, self._verdict, self._counters.reopen_earliest)
        return due is not None and now >= due

    def _tickles(self, now: float) -> bool:
        return timing.tickles(self._verdict.state) and now >= self._busy_until

    def _lacks_facts(self, now: float) -> bool:
        is_open = self._verdict.state is SessionState.AUTHENTICATED and now >= self._busy_until
        return is_open and self._facts.is_wanting and now >= self._facts_due

    async def _learn(self) -> None:
        now = self._clock()
        self._facts_due = now + sign_in.RETRY_S
        self._facts = replace(self._facts, tries=self._facts.tries + 1)
        if not self._facts.accounts_read:
            self._facts = sign_in.from_accounts(self._facts, await self._read("list_brokerage_accounts"))
        if not self._facts.validated:
            # Asked twice in a minute, it costs ten minutes of refusals. The gateway asks it at a sign-in, and this
            # keeper may be a restarted one, whose predecessor asked a moment ago.
            if now < self._validate_due:
                self._facts_due = self._validate_due
                return
            self._validate_due = now + sign_in.RETRY_S
            self._facts = sign_in.from_validation(self._facts, await self._read("validate_sign_in"))

    async def _read(self, operation: str) -> Any:
        return (await self._poller.ask(operation))[1]
