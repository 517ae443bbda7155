"""Telling about one gateway: Events in Kubernetes and messages to the owner, both in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from ib_operator.background import TryLater
from ib_operator.decision.reminders import Due
from ib_operator.decision.spans import utc
from ib_operator.decision.states import ROWS
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.objects import BrokerageSession, Key
from ib_operator.notify import channels
from ib_operator.notify.approvals import ApprovalNotices
from ib_operator.notify.sender import Sender
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.notify.reporter")


class Reporter:
    """``delivered`` is told of each message that a channel has got."""

    def __init__(self, key: Key, services: Services, delivered: Callable[[Due, str], None]) -> None:
        self._key = key
        self._services = services
        self._delivered = delivered
        self._problems: tuple[str, ...] = ()
        self._sender = Sender(key, services)
        self._approvals = ApprovalNotices(key, services)
        self._stuck: tuple[str, ...] = ()

    def trouble(self, channel: str) -> str:
        """Why the last try at a channel failed."""
        return self._sender.trouble(channel)

    def publish(self, report: bodies.Report) -> None:
        session, decision, observation = report.session, report.decision, report.observation
        involved = session or report.pod
        if involved is not None and decision.is_transition:
            row = ROWS[decision.reason]
            self.post_event(bodies.event(involved, row.event, decision.reason.value, report.reported, observation.wall))
            log.info("reported", gateway="/".join(self._key), phase=decision.phase, reason=decision.reason)
        if session is None:
            return
        if decision.refusal is not None:
            text = f"The request to open the session is not served: {decision.refusal}."
            self.post_event(bodies.event(session, "Warning", "RequestRefused", text, observation.wall))
        self._tell_problems(session, observation.wall)
        self._tell_stuck(session, report)
        if decision.notification is not None:
            self._send_all(report, session, decision.notification)
        self._approvals.tell(report, session)

    def post_event(self, event: Mapping[str, Any]) -> None:
        async def post() -> None:
            try:
                await self._services.api.create_event(event)
            except ApiError as error:
                raise TryLater(str(error)) from error

        def lost(why: str) -> None:
            log.warning("an Event is lost", reason=event["reason"], why=why)

        self._services.jobs.submit("event", post, lost)

    def _tell_problems(self, session: BrokerageSession, wall: float) -> None:
        if session.problems == self._problems:
            return
        for problem in session.problems:
            self.post_event(bodies.event(session, "Warning", "InvalidSpec", problem, wall))
        self._problems = session.problems

    def _tell_stuck(self, session: BrokerageSession, report: bodies.Report) -> None:
        names = tuple(name for name, _ in report.troubles)
        for name, why in report.troubles:
            if name not in self._stuck:
                text = f"The channel {name} does not take the message ({why}): it is tried again and again."
                self.post_event(bodies.event(session, "Warning", "OwnerNotTold", text, report.observation.wall))
        self._stuck = names

    def _send_all(self, report: bodies.Report, session: BrokerageSession, message: Due) -> None:
        status = report.observation.status
        deadline = status.login.deadline if status is not None else None
        notification = channels.Notification(
            kind=message.kind,
            namespace=session.namespace,
            name=session.name,
            phase=report.decision.phase.value,
            reason=message.reason.value,
            message=report.confirmed,
            login=status.login.url_hint if status is not None else None,
            deadline=None if deadline is None else utc(deadline),
            at=utc(report.observation.wall),
        )
        for channel in session.policy.channels:
            if channel.name in message.channels:
                self._sender.send(channel, notification, partial(self._delivered, message, channel.name))
