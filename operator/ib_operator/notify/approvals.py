"""Messages about orders that wait for the owner's word; they are decided on the page that the message leads to."""

from __future__ import annotations

from functools import partial

from ib_operator.decision import approvals
from ib_operator.decision.spans import utc
from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.objects import BrokerageSession, Key
from ib_operator.notify.channels import Notification
from ib_operator.notify.sender import Sender
from ib_operator.services import Services


class ApprovalNotices:
    """One message for each order, or for those that came together; ``told`` is kept by channel."""

    def __init__(self, key: Key, services: Services) -> None:
        self._sender = Sender(key, services)
        self._told: dict[str, float] = {}

    def tell(self, report: bodies.Report, session: BrokerageSession) -> None:
        asked_at = approvals.asked_at(report.observation, report.policy)
        status = report.observation.status
        if asked_at is None or status is None:
            return
        page = status.trading.approval_url
        notification = Notification(
            kind="approval",
            namespace=session.namespace,
            name=session.name,
            phase=report.decision.phase.value,
            reason="ApprovalNeeded",
            message=approvals.message(status.trading),
            login=None,
            deadline=None,
            at=utc(report.observation.wall),
            approval=page,
        )
        for channel in session.policy.channels:
            if self._told.get(channel.name, 0.0) < asked_at:
                self._sender.send(channel, notification, partial(self._told.__setitem__, channel.name, asked_at))
