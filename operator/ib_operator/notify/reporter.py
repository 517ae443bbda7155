"""Telling about one gateway: Events in Kubernetes and notifications to the owner, both as jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from ib_operator.background import TryLater
from ib_operator.decision.policy import Channel
from ib_operator.decision.spans import utc
from ib_operator.decision.states import ROWS
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.objects import Key
from ib_operator.notify import channels
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.notify.reporter")


class Reporter:
    def __init__(self, key: Key, services: Services) -> None:
        self._key = key
        self._services = services
        self._problems: tuple[str, ...] = ()

    def publish(self, report: bodies.Report) -> None:
        session, decision, observation = report.session, report.decision, report.observation
        involved = session or report.pod
        if involved is not None and decision.is_transition:
            row = ROWS[decision.reason]
            self.post_event(bodies.event(involved, row.event, decision.reason.value, report.reported, observation.wall))
            log.info("reported", gateway="/".join(self._key), phase=decision.phase, reason=decision.reason)
        if session is None:
            return
        problems = session.problems
        if problems != self._problems:
            for problem in problems:
                self.post_event(bodies.event(session, "Warning", "InvalidSpec", problem, observation.wall))
            self._problems = problems
        if decision.notification is not None:
            status = observation.status
            deadline = status.login.deadline if status is not None else None
            notification = channels.Notification(
                kind=decision.notification.kind,
                namespace=session.namespace,
                name=session.name,
                phase=decision.phase.value,
                reason=decision.notification.reason.value,
                message=report.confirmed,
                login=status.login.url_hint if status is not None else None,
                deadline=None if deadline is None else utc(deadline),
                at=utc(observation.wall),
            )
            for channel in session.policy.channels:
                self._send(channel, notification)

    def post_event(self, event: Mapping[str, Any]) -> None:
        async def post() -> None:
            try:
                await self._services.api.create_event(event)
            except ApiError as error:
                raise TryLater(str(error)) from error

        def lost(why: str) -> None:
            log.warning("an Event is lost", reason=event["reason"], why=why)

        self._services.jobs.submit("event", post, lost)

    def _send(self, channel: Channel, notification: channels.Notification) -> None:
        counted = self._services.metrics.notifications

        def lost(why: str) -> None:
            counted.labels(channel.kind, "lost").inc()
            log.error("a notification is lost", gateway="/".join(self._key), channel=channel.name, why=why)

        async def deliver() -> None:
            services = self._services
            try:
                await channels.send(services.client, services.channels_dir, channel, notification, services.wall())
            except channels.Misconfigured as problem:
                lost(str(problem))
            else:
                counted.labels(channel.kind, "delivered").inc()

        self._services.jobs.submit(f"notification {channel.name}", deliver, lost)
