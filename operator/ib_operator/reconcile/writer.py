"""Writing one gateway's condition and status into Kubernetes: what changed, and a heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ib_operator.decision.decide import History
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.objects import BrokerageSession, Condition, Key, Pod
from ib_operator.notify.reporter import Reporter
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.reconcile.writer")

# The condition's lastProbeTime tells a reader that the operator lives.
HEARTBEAT_S = 300.0
_INVALID = 422


@dataclass(slots=True)
class _Written:
    """What was written last and when (loop second), for the object with this uid."""

    uid: str
    content: Mapping[str, Any]
    at: float


class Writer:
    """``forget`` is told the uid of an object that is gone. A failed write is made again with the next poll."""

    def __init__(self, key: Key, services: Services, forget: Callable[[str], None], reporter: Reporter) -> None:
        self.pod_written_at: float | None = None
        self.session_written_at: float | None = None
        self._key = key
        self._services = services
        self._forget = forget
        self._reporter = reporter
        self._pod_written: _Written | None = None
        self._pod_before: Pod | None = None
        self._session_written: _Written | None = None
        self._is_outdated = False

    def has_written(self, session: BrokerageSession) -> bool:
        return self._session_written is not None and self._session_written.uid == session.uid

    async def write(self, report: bodies.Report, now: float) -> None:
        """Both objects at once: each has its own time limit."""
        await asyncio.gather(self._write_pod(report, now), self._write_session(report, now))

    async def write_handled(self, report: bodies.Report, history: History) -> bool:
        """Write the status with ``history``, whatever else is due; whether it is stored."""
        decision = replace(report.decision, history=history)
        return await self._write_session(report._replace(decision=decision), float("inf"))

    async def _write_pod(self, report: bodies.Report, now: float) -> None:
        pod, decision = report.pod, report.decision
        if pod is None:
            return
        before = self._pod_written if self._pod_written is not None and self._pod_written.uid == pod.uid else None
        known = pod.condition if before is None else _as_condition(before.content)
        wanted = bodies.pod_condition(decision, report.confirmed, known, report.observation.wall)
        # What the watch has not shown since the last write says nothing about it.
        is_new = before is not None and pod is not self._pod_before
        strayed = is_new and pod.condition is not None and pod.condition.status != decision.gate
        if not strayed and not _is_due(before, wanted, now):
            return
        try:
            await self._services.api.patch_pod(pod, wanted)
        except ApiError as error:
            self._complain(error, pod.uid)
        else:
            self._pod_written, self._pod_before = _Written(pod.uid, wanted, now), pod
            self.pod_written_at = asyncio.get_running_loop().time()

    async def _write_session(self, report: bodies.Report, now: float) -> bool:
        session = report.session
        if session is None:
            return True
        last = self._session_written
        written = last if last is not None and last.uid == session.uid else None
        present = session.status if written is None else written.content
        clock = asyncio.get_running_loop().time()
        body = bodies.session_status(session, present, report, clock)
        if not _is_due(written, body, now):
            return True
        try:
            stored = await self._services.api.apply_status(session, bodies.applied(session, body))
        except ApiError as error:
            self._complain(error, session.uid)
            if error.status == _INVALID:
                self._tell_outdated(session, str(error))
            return False
        self._session_written = _Written(session.uid, body, clock)
        self.session_written_at = clock
        if lost := [name for name in body if stored and name not in stored]:
            self._tell_outdated(session, f"it does not keep {', '.join(lost)}")
        return True

    def _tell_outdated(self, session: BrokerageSession, why: str) -> None:
        if self._is_outdated:
            return
        self._is_outdated = True
        text = f"The definition of BrokerageSession is older than this operator ({why}): apply the chart's crds/."
        self._reporter.post_event(bodies.event(session, "Warning", "DefinitionOutdated", text, self._services.wall()))

    def _complain(self, error: ApiError, uid: str) -> None:
        log.warning("the Kubernetes API refused", gateway="/".join(self._key), problem=str(error))
        if error.is_gone:
            # Its end was missed; the watch tells when there is another.
            self._forget(uid)


def _is_due(written: _Written | None, wanted: Mapping[str, Any], now: float) -> bool:
    if written is None or now - written.at >= HEARTBEAT_S:
        return True
    return bodies.is_worth_writing(wanted, written.content)


def _as_condition(content: Mapping[str, Any]) -> Condition:
    return Condition(content["status"], content["reason"], content["message"], content["lastTransitionTime"])
