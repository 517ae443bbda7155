"""Telling about one gateway: Events in Kubernetes and notices to the owner, both as errands."""

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
from ib_operator.services import Tools

log = structlog.get_logger("ib_operator.notify.reporter")


class Teller:
    def __init__(self, key: Key, tools: Tools) -> None:
        self._key = key
        self._tools = tools
        self._problems: tuple[str, ...] = ()

    def tell(self, look: bodies.Look) -> None:
        session, decision, observation = look.session, look.decision, look.observation
        involved = session or look.pod
        if involved is not None and decision.is_transition:
            row = ROWS[decision.reason]
            self.post_event(bodies.event(involved, row.event, decision.reason.value, look.shown, observation.wall))
            log.info("reported", gateway="/".join(self._key), phase=decision.phase, reason=decision.reason)
        if session is None:
            return
        problems = session.problems
        if problems != self._problems:
            for problem in problems:
                self.post_event(bodies.event(session, "Warning", "InvalidSpec", problem, observation.wall))
            self._problems = problems
        if decision.notice is not None:
            status = observation.status
            deadline = status.login.deadline if status is not None else None
            notice = channels.Notice(
                kind=decision.notice.kind,
                namespace=session.namespace,
                name=session.name,
                phase=decision.phase.value,
                reason=decision.notice.reason.value,
                message=look.seen,
                login=status.login.url_hint if status is not None else None,
                deadline=None if deadline is None else utc(deadline),
                at=utc(observation.wall),
            )
            for channel in session.policy.channels:
                self._send(channel, notice)

    def post_event(self, event: Mapping[str, Any]) -> None:
        async def post() -> None:
            try:
                await self._tools.api.create_event(event)
            except ApiError as error:
                raise TryLater(str(error)) from error

        def lost(why: str) -> None:
            log.warning("an Event is lost", reason=event["reason"], why=why)

        self._tools.errands.send("event", post, lost)

    def _send(self, channel: Channel, notice: channels.Notice) -> None:
        counted = self._tools.metrics.notices

        def lost(why: str) -> None:
            counted.labels(channel.kind, "lost").inc()
            log.error("a notice is lost", gateway="/".join(self._key), channel=channel.name, why=why)

        async def deliver() -> None:
            tools = self._tools
            try:
                await channels.send(tools.client, tools.channels_dir, channel, notice, tools.wall())
            except channels.Misconfigured as problem:
                lost(str(problem))
            else:
                counted.labels(channel.kind, "delivered").inc()

        self._tools.errands.send(f"notice {channel.name}", deliver, lost)
