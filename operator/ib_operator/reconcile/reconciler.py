"""One gateway's supervision: poll, decide, act, report, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from ib_operator import sidecar
from ib_operator.decision import decide, reminders, rollout
from ib_operator.decision.decide import Attempt, Decision, History
from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Policy
from ib_operator.decision.reminders import Due
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.objects import BrokerageSession, Key, Pod
from ib_operator.notify.reporter import Reporter
from ib_operator.reconcile import restore
from ib_operator.reconcile.writer import Writer
from ib_operator.services import Services
from ib_operator.sidecar import NoStatus
from ibkr.session import Status

log = structlog.get_logger("ib_operator.reconcile.reconciler")

# The lists of pods and sessions arrive within a moment of each other.
_FIRST_POLL_S = 1.0
_ROLLOUT_POLL_S = 60.0
_POLICY_POLL_S = 30.0
# A wait is up to a tenth shorter than asked for; what then remains of it is no reason for ever more polls.
_SLOT_POLL_S = 0.5


class Reconciler:
    """``pod`` and ``session`` may change at any time; ``wake`` makes it poll at once. ``run`` until cancelled.

    ``forget`` is told the uid of an object that is gone; ``knows_sessions`` whether those of a namespace were listed;
    the first poll comes within ``spread_s``.
    """

    def __init__(
        self,
        key: Key,
        services: Services,
        forget: Callable[[str], None],
        knows_sessions: Callable[[str], bool],
        spread_s: float,
    ) -> None:
        self.key = key
        self.pod: Pod | None = None
        self.session: BrokerageSession | None = None
        self.reconciled_at = asyncio.get_running_loop().time()
        self._services = services
        self._knows_sessions = knows_sessions
        self._spread_s = spread_s
        self._history: History | None = None
        self._session_uid: str | None = None
        # The owner's last word, and the pod that was there then.
        self._word: tuple[Policy, str | None] | None = None
        self._woken = asyncio.Event()
        self._slot: float | None = None
        self._rollout_at = self._policy_at = float("-inf")
        self._reporter = Reporter(key, services, self._note_delivery)
        self._writer = Writer(key, services, forget, self._reporter)

    @property
    def pod_written_at(self) -> float | None:
        return self._writer.pod_written_at

    @property
    def session_written_at(self) -> float | None:
        return self._writer.session_written_at

    def see(self, session: BrokerageSession) -> None:
        """Take the session as it is now; its status is of use only until it was written from here."""
        self.session = replace(session, status={}) if self._writer.has_written(session) else session

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Supervise for ever; a reconciliation that fails is logged and made again."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(_FIRST_POLL_S + self._spread_s * self._services.chance())
        while True:
            self._woken.clear()
            try:
                wait = await self.reconcile()
            except Exception:
                log.exception("a reconciliation failed", gateway="/".join(self.key))
                wait = self._services.poll_s
            self.reconciled_at = clock()
            try:
                async with asyncio.timeout(wait * (0.9 + 0.2 * self._services.chance())):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def reconcile(self) -> float:
        """One poll and all that follows; seconds until the next."""
        pod, session = self.pod, self.session
        status, problem = await self._poll(pod)
        # The objects may have changed while the sidecar was asked.
        if pod is not None and (self.pod is None or self.pod.uid != pod.uid):
            return 0.0
        pod, session, policy = self.pod, self.session, self._policy()
        now = asyncio.get_running_loop().time()
        observation = self._observe(pod, session, status, problem)
        history = self._remember(pod, session, now, observation.wall)
        decision = decide.decide(observation, policy, history, now, poll_s=self._services.poll_s)
        self._history = decision.history
        if decision.is_transition:
            self._services.metrics.transitions.labels(decision.phase.value, decision.reason.value).inc()
        self._services.metrics.show(self.key, decision.phase)
        self._services.metrics.name(self.key, session.name if session is not None else "", decision.gate == "True")
        report = self._report(pod, session, observation, decision, policy)
        self._reporter.publish(report)
        if decision.attempt is Attempt.REQUESTED:
            # Written down before it is served, and by nothing else meanwhile.
            wait = await self._open(report)
        else:
            # A lost session waits for no report.
            wait, _ = await asyncio.gather(self._open(report), self._writer.write(report, now))
        await self._hand_on(pod, policy, status, now)
        await self._renew(pod, session, policy, decision, now)
        return wait

    def _policy(self) -> Policy:
        """The owner's word as it is now: the session's, or the last one of this pod's life, or the defaults."""
        uid = self.pod.uid if self.pod is not None else None
        if self.session is not None:
            self._word = (self.session.policy, uid)
            return self.session.policy
        if self._word is not None:
            word, of_pod = self._word
            if of_pod is None or uid is None or of_pod == uid:
                self._word = (word, of_pod or uid)
                # There is nobody to tell any more, and nothing to replace.
                return replace(word, channels=(), rollout="Never")
        return Policy(is_known=self._knows_sessions(self.key[0]))

    def _remember(self, pod: Pod | None, session: BrokerageSession | None, now: float, wall: float) -> History:
        if self._history is None:
            history = restore.history_of(pod, session, now, wall)
        elif session is not None and session.uid != self._session_uid:
            history = restore.join(self._history, restore.history_of(pod, session, now, wall))
        else:
            return self._history
        self._session_uid = None if session is None else session.uid
        return history

    async def _poll(self, pod: Pod | None) -> tuple[Status | None, str]:
        """The sidecar's status, or in words why there is none."""
        if pod is None or pod.address is None or pod.phase != "running":
            self._services.metrics.polls.labels("none").inc()
            return None, ""
        try:
            async with self._services.polling:
                with self._services.metrics.poll_seconds.time():
                    status = await sidecar.read_status(self._services.pods, self._base(pod))
            if status.gateway.instance is not None and status.gateway.instance != pod.uid:
                raise NoStatus("another pod answers at its address")
        except NoStatus as reason:
            self._services.metrics.polls.labels("failed").inc()
            return None, str(reason)
        self._services.metrics.polls.labels("answered").inc()
        return status, ""

    def _observe(
        self, pod: Pod | None, session: BrokerageSession | None, status: Status | None, problem: str
    ) -> Observation:
        wall = self._services.wall()
        return Observation(
            wall=wall,
            status=status,
            problem=problem,
            pod="missing" if pod is None else pod.phase,
            pod_age_s=None if pod is None else wall - pod.created_at,
            requested_at=None if session is None else session.requested_at,
        )

    def _report(
        self,
        pod: Pod | None,
        session: BrokerageSession | None,
        observation: Observation,
        decision: Decision,
        policy: Policy,
    ) -> bodies.Report:
        reported, confirmed = (
            bodies.message(reason, decision, observation) for reason in (decision.reason, decision.history.confirmed)
        )
        stuck = reminders.stuck(decision.history.notified, observation.wall)
        troubles = tuple((name, self._reporter.trouble(name)) for name in stuck)
        return bodies.Report(pod, session, observation, decision, policy, reported, confirmed, troubles)

    async def _open(self, report: bodies.Report) -> float:
        """Open the session when that is wanted and it is this gateway's turn; seconds until the next poll."""
        attempt, pod, wait = report.decision.attempt, report.pod, report.decision.next_poll_s
        if attempt is None or pod is None:
            self._slot = None
            return wait
        now = asyncio.get_running_loop().time()
        if self._slot is None:
            self._slot = self._services.limiter.reserve(now)
        if now < self._slot:
            return min(wait, max(_SLOT_POLL_S, self._slot - now))
        self._slot = None
        assert self._history is not None
        before = self._history
        # Before it is sent: an attempt whose answer is lost was made.
        self._history = decide.attempted(before, attempt, report.observation, now)
        if attempt is Attempt.REQUESTED and not await self._write_down(report):
            self._history = before
            return decide.SOON_S
        # The last look: the owner may have paused it meanwhile, and the pod may be another.
        if self.pod is None or (self.pod.uid, self.pod.address) != (pod.uid, pod.address):
            return 0.0
        if not decide.may_still(attempt, self._policy()):
            return decide.SOON_S
        is_person = attempt is Attempt.REQUESTED
        answer = await sidecar.reauthenticate(
            self._services.pods, self._base(pod), instance=pod.uid, is_person=is_person
        )
        if answer.is_refused:
            after = self._history
            self._history = decide.refused(after, before, now, answer.delay_s)
        self._services.metrics.reauth.labels(attempt.value, answer.result).inc()
        log.info("asked to open the session", gateway="/".join(self.key), attempt=attempt, result=answer.result)
        return decide.SOON_S

    async def _write_down(self, report: bodies.Report) -> bool:
        """Note a person's request as served, so that it is served once however often this process ends."""
        assert self._history is not None
        return await self._writer.write_handled(report, self._history)

    async def _hand_on(self, pod: Pod | None, policy: Policy, status: Status | None, now: float) -> None:
        """Give the keeper the owner's word, which then binds it with the operator away too."""
        if pod is None or status is None or not policy.is_known or now - self._policy_at < _POLICY_POLL_S:
            return
        has = (status.policy.paused, status.policy.reopen, status.policy.max_attempts)
        if status.policy.set_at is not None and has == (policy.paused, policy.reauth_enabled, policy.max_attempts):
            return
        self._policy_at = now
        if await sidecar.set_policy(self._services.pods, self._base(pod), policy):
            self._policy_at = float("-inf")

    async def _renew(
        self, pod: Pod | None, session: BrokerageSession | None, policy: Policy, decision: Decision, now: float
    ) -> None:
        """Replace a pod that is outdated, where the owner's policy lets it go, or too old."""
        is_aged = rollout.must_replace(policy, decision)
        may = is_aged or rollout.may_replace(policy, decision)
        if pod is None or not may or now - self._rollout_at < _ROLLOUT_POLL_S:
            return
        self._rollout_at = now
        try:
            text = "IBKR's program ran for 20 days: it is replaced while nobody is signed in, nothing to do."
            if not is_aged:
                wanted = await self._services.api.update_revision(*self.key)
                if not wanted or not pod.revision or wanted == pod.revision:
                    return
                text = f"The pod of revision {pod.revision} is replaced by one of {wanted}: nothing to do."
            await self._services.api.evict(pod)
            self._reporter.post_event(
                bodies.event(session or pod, "Normal", "GatewayReplaced", text, self._services.wall())
            )
        except ApiError as error:
            log.warning("the pod is not replaced", gateway="/".join(self.key), problem=str(error))

    def _note_delivery(self, message: Due, channel: str) -> None:
        assert self._history is not None
        told = reminders.delivered(self._history.notified, message, channel, self._services.wall())
        self._history = replace(self._history, notified=told)
        self.wake()

    def _base(self, pod: Pod) -> str:
        address = pod.address or ""
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self._services.control_port}"
