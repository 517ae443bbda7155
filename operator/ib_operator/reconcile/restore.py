"""A gateway's history from what Kubernetes holds, so that a restarted operator goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from ib_operator.decision.decide import History
from ib_operator.decision.reminders import Kind, Notified
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import Reason
from ib_operator.kubernetes.objects import BrokerageSession, Pod


def history_of(pod: Pod | None, session: BrokerageSession | None, now: float, wall: float) -> History:
    """The history as far as the BrokerageSession's status, or else the pod's condition, tells it."""
    if session is None:
        reported = _reason(pod.condition.reason) if pod is not None and pod.condition is not None else None
        return History(reported=reported)
    status = session.status
    reauth = _mapping(status.get("reauth"))
    since = _loop(status.get("since"), now, wall)
    return History(
        reported=_reason(status.get("reason")),
        reported_since=since,
        attempted_at=_loop(reauth.get("lastAttemptTime"), now, wall),
        handled=epoch(reauth.get("handledRequest")),
        notified=tuple(
            notified for one in status.get("notifications") or () if (notified := _notified(one)) is not None
        ),
    )


def join(known: History, restored: History) -> History:
    """``known`` with what a session's status, seen later than its pod, adds to it.

    Of a session without a status nothing is shown yet.
    """
    return replace(
        known,
        reported=restored.reported,
        reported_since=known.reported_since if restored.reported is known.reported else restored.reported_since,
        attempted_at=restored.attempted_at if known.attempted_at is None else known.attempted_at,
        handled=restored.handled if known.handled is None else known.handled,
        notified=known.notified or restored.notified,
    )


def _loop(text: object, now: float, wall: float) -> float | None:
    at = epoch(text)
    return None if at is None else now + at - wall


def _reason(text: object) -> Reason | None:
    return Reason(text) if isinstance(text, str) and text in set(Reason) else None


def _notified(one: object) -> Notified | None:
    given = _mapping(one)
    reason, first, last = _reason(given.get("reason")), epoch(given.get("firstTime")), epoch(given.get("lastTime"))
    if reason is None or first is None or last is None:
        return None
    kind, pending = given.get("kind"), given.get("pending")
    return Notified(
        reason,
        first,
        last,
        given.get("count", 1),
        given.get("open") is not False,
        kind=_KINDS.get(kind, "needed"),
        pending=tuple(str(name) for name in pending) if isinstance(pending, list) else (),
        is_delivered=given.get("delivered") is not False,
    )


_KINDS: dict[object, Kind] = {kind: kind for kind in get_args(Kind)}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
