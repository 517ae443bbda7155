"""A gateway's history from what Kubernetes holds, so that a restarted operator goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ib_operator.decision.budget import Budget
from ib_operator.decision.decide import History
from ib_operator.decision.reminders import Told
from ib_operator.decision.spans import epoch
from ib_operator.decision.states import Reason
from ib_operator.kubernetes.objects import Pod, Session


def recall(pod: Pod | None, session: Session | None, now: float, wall: float) -> History:
    """The history as far as the BrokerageSession's status, or else the pod's condition, tells it."""
    if session is None:
        shown = _reason(pod.condition.reason) if pod is not None and pod.condition is not None else None
        return History(shown=shown)
    status = session.status
    reauth = _mapping(status.get("reauth"))
    attempts = reauth.get("attempts")
    since = _loop(status.get("since"), now, wall)
    shown = _reason(status.get("reason"))
    return History(
        shown=shown,
        shown_since=since,
        good_since=since if shown is Reason.SESSION_OPEN else None,
        budget=Budget(
            attempts=attempts if isinstance(attempts, int) else 0,
            next_at=_loop(reauth.get("nextAttemptTime"), now, wall),
        ),
        attempted_at=_loop(reauth.get("lastAttemptTime"), now, wall),
        handled=epoch(reauth.get("handledRequest")),
        told=tuple(told for one in status.get("notices") or () if (told := _told(one)) is not None),
    )


def join(known: History, recalled: History) -> History:
    """``known`` with what a session's status, seen later than its pod, adds to it.

    Of a session without a status nothing is shown yet.
    """
    return replace(
        known,
        shown=recalled.shown,
        shown_since=known.shown_since if recalled.shown is known.shown else recalled.shown_since,
        budget=known.budget if known.budget.attempts >= recalled.budget.attempts else recalled.budget,
        attempted_at=recalled.attempted_at if known.attempted_at is None else known.attempted_at,
        handled=recalled.handled if known.handled is None else known.handled,
        told=known.told or recalled.told,
    )


def _loop(text: object, now: float, wall: float) -> float | None:
    at = epoch(text)
    return None if at is None else now + at - wall


def _reason(text: object) -> Reason | None:
    return Reason(text) if isinstance(text, str) and text in set(Reason) else None


def _told(one: object) -> Told | None:
    given = _mapping(one)
    reason, first, last = _reason(given.get("reason")), epoch(given.get("firstTime")), epoch(given.get("lastTime"))
    if reason is None or first is None or last is None:
        return None
    return Told(reason, first, last, given.get("count", 1), given.get("open") is not False)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
