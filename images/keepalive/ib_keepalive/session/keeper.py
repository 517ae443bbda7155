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
from ib_keepalive.session import calendar, reopening, status, timing
from ib_keepalive.session import sign_in as learnt
from ib_keepalive.session.observation import Observation, Seen
from ib_keepalive.session.poller import Pacing, Prober
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
_UNANSWERED = (Seen.TIMEOUT, Seen.SILENT, Seen.REFUSED, Seen.BROKEN)
_GOOD = (Seen.FLAGS, Seen.ALIVE)


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
        self._prober = Prober(client, metrics, pacing)
        self._started = now = self._clock()
        self._verdict = Verdict(SessionState.STARTING, since=now, concluded_at=now)
        # The keeper may be a restarted one: its predecessor may have asked a moment ago.
        self._ledger = status.Ledger(reopen_earliest=now + reopening.GAP_S)
        self._facts = learnt.Facts()
        self._facts_due = now
        self._validate_due = now + learnt.RETRY_S
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
            self._ledger,
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
            self.doubt()

    def doubt(self) -> None:
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
            earliest=self._ledger.reopen_earliest,
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
            own = reopening.try_at(self._budget, self._verdict, self._ledger.reopen_earliest)
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
        seen, _ = await self._prober.ask("get_auth_status")
        if seen.seen is Seen.ALIVE:
            seen = replace(seen, seen=Seen.BROKEN, detail="IBKR's answer lacks the session's flags")
        self._conclude(seen)

    async def _tickle(self) -> None:
        seen, _ = await self._prober.ask("tickle")
        now = self._clock()
        self._tickle_due = now + timing.TICKLE_S
        self._metrics.tickle.labels("ok" if seen.seen in _GOOD else seen.seen.value).inc()
        if seen.seen in _GOOD:
            self._ledger.tickled, self._ledger.tickle_failures = now, 0
            self._metrics.tickle_last_success.set(self._wall())
            self._facts = learnt.from_tickle(self._facts, seen.sso_expires_s, self._sso_left, now)
            self._sso_left = None if seen.sso_expires_s is None else (seen.sso_expires_s, now)
        else:
            self._ledger.tickle_failures += 1
        self._conclude(seen)

    async def _reopen(self) -> None:
        now = self._clock()
        self._ledger.reopened, self._ledger.reopen_earliest = now, now + reopening.GAP_S
        body = {"publish": True, "compete": self._settings.compete}
        seen, _ = await self._prober.ask("open_brokerage_session", body)
        # It may have waited for its turn, so the gap counts from its end.
        self._ledger.reopen_earliest = self._clock() + reopening.GAP_S
        result = "accepted" if seen.seen in _GOOD else seen.seen.value
        self._ledger.reopen_result = result
        self._unsure_reopen = seen.seen in _UNANSWERED
        self._metrics.reauth.labels(result).inc()
        log.info("asked to open the brokerage session", result=result, detail=seen.detail)
        self._conclude(seen)
        self._probe_due = min(self._probe_due, self._clock() + timing.AFTER_CHANGE_S)

    def _down_until(self) -> float | None:
        """When the announced maintenance ends that is on now, in epoch seconds."""
        return calendar.maintenance_until(self._wall()) if self._settings.maintenance_hours else None

    def _conclude(self, seen: Observation) -> None:
        now, before = self._clock(), self._verdict
        is_down = self._down_until() is not None
        self._verdict = verdict = decide(seen, before, now=now, started=self._started, in_maintenance=is_down)
        if seen.latency_ms is not None:
            self._ledger.latency_ms = seen.latency_ms
        self._note_gateway(seen, now)
        self._guard_reopening(seen, before.state, verdict.state, now)
        self._budget = reopening.follow(self._budget, verdict.state, now)
        if verdict.state is SessionState.LOGIN_REQUIRED:
            self._facts, self._facts_due, self._sso_left = learnt.Facts(), now, None
        if verdict.state is not before.state:
            log.info(
                "session state changed", state=verdict.state.value, before=before.state.value, reason=verdict.reason
            )
            self._metrics.show_state(verdict.state)
            if not timing.tickles(before.state):
                self._tickle_due = now
        wait = timing.next_probe_s(seen, verdict, now=now, watched=now < self._watched_until)
        if seen.seen is Seen.BUSY:
            self._busy_until = now + wait
            self._ledger.reopen_earliest = max(self._ledger.reopen_earliest, self._busy_until)
        # A tickle without flags leaves the question open.
        self._probe_due = now if seen.seen is Seen.ALIVE else now + wait

    def _note_gateway(self, seen: Observation, now: float) -> None:
        if seen.seen in (Seen.REFUSED, Seen.SILENT):
            self._was_refused, self._ledger.gateway_started = True, None
        elif self._was_refused:
            self._was_refused, self._ledger.gateway_started = False, now

    def _guard_reopening(self, seen: Observation, before: SessionState, state: SessionState, now: float) -> None:
        # After a sign-in the gateway opens the session itself. A request that got no answer may wait in its
        # queue and go out with the first thing that does.
        signed_in = before is SessionState.LOGIN_REQUIRED and state is not before
        if signed_in:
            self._validate_due = max(self._validate_due, now + learnt.RETRY_S)
        if signed_in or (self._unsure_reopen and seen.seen not in _UNANSWERED):
            self._unsure_reopen = False
            self._ledger.reopen_earliest = max(self._ledger.reopen_earliest, now + reopening.GAP_S)

    def _is_own_turn_to_reopen(self, now: float) -> bool:
        if not self._settings.auto_reopen:
            return False
        due = reopening.try_at(self._budget, self._verdict, self._ledger.reopen_earliest)
        return due is not None and now >= due

    def _tickles(self, now: float) -> bool:
        return timing.tickles(self._verdict.state) and now >= self._busy_until

    def _lacks_facts(self, now: float) -> bool:
        is_open = self._verdict.state is SessionState.AUTHENTICATED and now >= self._busy_until
        return is_open and self._facts.is_wanting and now >= self._facts_due

    async def _learn(self) -> None:
        now = self._clock()
        self._facts_due = now + learnt.RETRY_S
        self._facts = replace(self._facts, tries=self._facts.tries + 1)
        if not self._facts.accounts_read:
            self._facts = learnt.from_accounts(self._facts, await self._read("list_brokerage_accounts"))
        if not self._facts.validated:
            # Asked twice in a minute, it costs ten minutes of refusals. The gateway asks it at a sign-in, and this
            # keeper may be a restarted one, whose predecessor asked a moment ago.
            if now < self._validate_due:
                self._facts_due = self._validate_due
                return
            self._validate_due = now + learnt.RETRY_S
            self._facts = learnt.from_validation(self._facts, await self._read("validate_sign_in"))

    async def _read(self, operation: str) -> Any:
        return (await self._prober.ask(operation))[1]
