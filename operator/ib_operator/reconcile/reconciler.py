"""One gateway's supervision: look, decide, act, report, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ib_operator import sidecar
from ib_operator.decision import decide, rollout
from ib_operator.decision.budget import Attempt
from ib_operator.decision.decide import Decision, History
from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Policy
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.objects import BrokerageSession, Condition, Key, Pod
from ib_operator.notify.reporter import Reporter
from ib_operator.reconcile import restore
from ib_operator.services import Services
from ib_operator.sidecar import NoStatus

log = structlog.get_logger("ib_operator.reconcile.reconciler")

# The condition's lastProbeTime tells a reader that the operator lives.
HEARTBEAT_S = 300.0
# The lists of pods and sessions arrive within a moment of each other.
_FIRST_POLL_S = 1.0
_ROLLOUT_POLL_S = 60.0
# A wait is up to a tenth shorter than asked for; what then remains of it is no reason for ever more polls.
_SLOT_POLL_S = 0.5
_DEFAULT = Policy(is_known=False)


@dataclass(slots=True)
class _Written:
    """What was written last and when (loop second), for the object with this uid."""

    uid: str
    content: Mapping[str, Any]
    at: float


class Reconciler:
    """``pod`` and ``session`` may change at any time; ``wake`` makes it poll at once. ``run`` until cancelled.

    ``forget`` is told the uid of an object that is gone; the first poll comes within ``spread_s``.
    """

    def __init__(self, key: Key, services: Services, forget: Callable[[str], None], spread_s: float) -> None:
        self.key = key
        self.pod: Pod | None = None
        self.session: BrokerageSession | None = None
        self.reconciled_at = asyncio.get_running_loop().time()
        self.pod_written_at: float | None = None
        self._services = services
        self._forget = forget
        self._spread_s = spread_s
        self._history: History | None = None
        self._session_uid: str | None = None
        self._woken = asyncio.Event()
        self._slot: float | None = None
        self._pod_written: _Written | None = None
        self._pod_before: Pod | None = None
        self._session_written: _Written | None = None
        self._rollout_at = float("-inf")
        self._reporter = Reporter(key, services)

    def see(self, session: BrokerageSession) -> None:
        """Take the session as it is now; its status is of use only until it was written from here."""
        known = self._session_written is not None and self._session_written.uid == session.uid
        self.session = replace(session, status={}) if known else session

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
        now = asyncio.get_running_loop().time()
        pod, session = self.pod, self.session
        policy = session.policy if session is not None else _DEFAULT
        observation = await self._poll(pod, session)
        history = self._remember(pod, session, now, observation.wall)
        decision = decide.decide(observation, policy, history, now, poll_s=self._services.poll_s)
        self._history = decision.history
        if decision.is_transition:
            self._services.metrics.transitions.labels(decision.phase.value, decision.reason.value).inc()
        self._services.metrics.show(self.key, decision.phase)
        reported, confirmed = (
            bodies.message(reason, decision, observation, policy)
            for reason in (decision.reason, decision.history.confirmed)
        )
        report = bodies.Report(pod, session, observation, decision, reported, confirmed)
        await self._write(report, now)
        self._reporter.publish(report)
        wait = decision.next_poll_s
        if decision.attempt is None:
            self._slot = None
        else:
            wait = await self._attempt(decision.attempt, pod, policy, observation, wait)
        await self._renew(pod, session, policy, decision, now)
        return wait

    def _remember(self, pod: Pod | None, session: BrokerageSession | None, now: float, wall: float) -> History:
        if self._history is None:
            history = restore.history_of(pod, session, now, wall)
        elif session is not None and session.uid != self._session_uid:
            history = restore.join(self._history, restore.history_of(pod, session, now, wall))
        else:
            return self._history
        self._session_uid = None if session is None else session.uid
        return history

    async def _poll(self, pod: Pod | None, session: BrokerageSession | None) -> Observation:
        status, problem = None, ""
        if pod is not None and pod.address is not None and pod.phase == "running":
            try:
                with self._services.metrics.poll_seconds.time():
                    status = await sidecar.read_status(self._services.client, self._base(pod))
            except NoStatus as reason:
                problem = str(reason)
        result = "none" if pod is None else "answered" if status is not None else "failed"
        self._services.metrics.polls.labels(result).inc()
        wall = self._services.wall()
        return Observation(
            wall=wall,
            status=status,
            problem=problem,
            pod="missing" if pod is None else pod.phase,
            pod_age_s=None if pod is None else wall - pod.created_at,
            requested_at=None if session is None else session.requested_at,
            chance=self._services.chance(),
        )

    async def _attempt(
        self, attempt: Attempt, pod: Pod | None, policy: Policy, observation: Observation, wait: float
    ) -> float:
        """Open the session when it is this gateway's turn; seconds until the next poll."""
        assert pod is not None
        assert self._history is not None
        now = asyncio.get_running_loop().time()
        if self._slot is None:
            self._slot = self._services.limiter.reserve(now)
        if now < self._slot:
            return min(wait, max(_SLOT_POLL_S, self._slot - now))
        self._slot = None
        before = self._history
        # Spent before it is sent: an attempt whose answer is lost was made.
        self._history = decide.attempted(before, attempt, policy, observation, now)
        answer = await sidecar.reauthenticate(self._services.client, self._base(pod))
        if answer.is_refused:
            self._history = decide.refused(self._history, before, now, answer.delay_s)
        self._services.metrics.reauth.labels(attempt.value, answer.result).inc()
        log.info("asked to open the session", gateway="/".join(self.key), attempt=attempt, result=answer.result)
        return decide.SOON_S

    async def _write(self, report: bodies.Report, now: float) -> None:
        pod, session, decision = report.pod, report.session, report.decision
        if pod is not None:
            before = self._pod_written if self._pod_written is not None and self._pod_written.uid == pod.uid else None
            known = pod.condition if before is None else _as_condition(before.content)
            wanted = bodies.pod_condition(decision, report.confirmed, known, report.observation.wall)
            # What the watch has not shown since the last write says nothing about it.
            is_new = before is not None and pod is not self._pod_before
            strayed = is_new and pod.condition is not None and pod.condition.status != decision.gate
            if strayed or _is_due(before, wanted, now):
                try:
                    await self._services.api.patch_pod(pod, wanted)
                except ApiError as error:
                    self._complain(error, pod.uid)
                else:
                    self._pod_written, self._pod_before = _Written(pod.uid, wanted, now), pod
                    self.pod_written_at = asyncio.get_running_loop().time()
        if session is not None:
            last = self._session_written
            written = last if last is not None and last.uid == session.uid else None
            present = session.status if written is None else written.content
            body = bodies.session_status(session, present, report, now)
            if _is_due(written, body, now):
                try:
                    await self._services.api.apply_status(session, bodies.applied(session, body))
                except ApiError as error:
                    self._complain(error, session.uid)
                else:
                    self._session_written = _Written(session.uid, body, now)

    async def _renew(
        self, pod: Pod | None, session: BrokerageSession | None, policy: Policy, decision: Decision, now: float
    ) -> None:
        """Replace an outdated pod where the owner's policy lets it go."""
        if pod is None or not rollout.may_replace(policy, decision) or now - self._rollout_at < _ROLLOUT_POLL_S:
            return
        self._rollout_at = now
        try:
            wanted = await self._services.api.update_revision(*self.key)
            if wanted and pod.revision and wanted != pod.revision:
                await self._services.api.evict(pod)
                text = f"The pod of revision {pod.revision} is replaced by one of {wanted}: nothing to do."
                self._reporter.post_event(
                    bodies.event(session or pod, "Normal", "GatewayReplaced", text, self._services.wall())
                )
        except ApiError as error:
            self._complain(error)

    def _complain(self, error: ApiError, uid: str | None = None) -> None:
        log.warning("the Kubernetes API refused", gateway="/".join(self.key), problem=str(error))
        if error.is_gone and uid is not None:
            # Its end was missed; the watch tells when there is another.
            self._forget(uid)

    def _base(self, pod: Pod) -> str:
        address = pod.address or ""
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self._services.control_port}"


def _is_due(written: _Written | None, wanted: Mapping[str, Any], now: float) -> bool:
    if written is None or now - written.at >= HEARTBEAT_S:
        return True
    return bodies.is_worth_writing(wanted, written.content)


def _as_condition(content: Mapping[str, Any]) -> Condition:
    return Condition(content["status"], content["reason"], content["message"], content["lastTransitionTime"])
