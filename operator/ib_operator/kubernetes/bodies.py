"""What is written into Kubernetes: pod condition, BrokerageSession status, Events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ib_operator.decision.decide import Decision
from ib_operator.decision.observation import Observation
from ib_operator.decision.policy import Policy
from ib_operator.decision.reminders import Notified
from ib_operator.decision.spans import epoch, utc
from ib_operator.decision.states import ROWS, Reason
from ib_operator.kubernetes.names import GATE, GROUP, KIND, MANAGER, VERSION
from ib_operator.kubernetes.objects import BrokerageSession, Condition, Pod, condition_of

# IBKR's own estimate of the login's end wanders a little; smaller changes are not written.
_DEADLINE_STEP_S = 600.0
# The loop's clock and the calendar drift apart by less.
_CLOCK_STEP_S = 3.0
_NO_HINT = "open the gateway's login page, docs/operator.md says how"


class Report(NamedTuple):
    """What one poll found and led to; ``reported`` and ``confirmed`` are the sentences of these reasons."""

    pod: Pod | None
    session: BrokerageSession | None
    observation: Observation
    decision: Decision
    reported: str
    confirmed: str


def message(reason: Reason, decision: Decision, observation: Observation, policy: Policy) -> str:
    """The sentence that says what to do."""
    status, ends = observation.status, decision.maintenance_until
    return ROWS[reason].message.format(
        login=(status.login.url_hint if status else None) or _NO_HINT,
        attempts=decision.history.budget.attempts,
        most=policy.max_attempts,
        until="" if ends is None else f" until about {utc(ends)}",
        problem=observation.problem or "it has not answered yet",
    )


def pod_condition(decision: Decision, text: str, before: Condition | None, wall: float) -> dict[str, Any]:
    """The readiness gate's condition for a strategic merge on ``pods/status``."""
    return {
        "type": GATE,
        "status": decision.gate,
        "reason": decision.history.confirmed.value,
        "message": text,
        "lastProbeTime": utc(wall),
        "lastTransitionTime": _since(before, decision.gate, wall),
    }


def session_status(session: BrokerageSession, before: Mapping[str, Any], report: Report, now: float) -> dict[str, Any]:
    """The whole ``status`` for a server-side apply; ``before`` is the present one."""
    decision, observation = report.decision, report.observation
    history, wall = decision.history, observation.wall
    status, budget, confirmed = observation.status, history.budget, decision.history.confirmed
    reauth_before = before.get("reauth") or {}

    def moment(name: str, at: float | None) -> str | None:
        return None if at is None else _steady(reauth_before.get(name), wall + at - now, _CLOCK_STEP_S)

    reported_since = wall if history.reported_since is None else wall - (now - history.reported_since)
    told_phase = before.get("phase") == decision.phase
    return _dense(
        {
            "observedGeneration": session.generation,
            "phase": decision.phase.value,
            "reason": decision.reason.value,
            "message": report.reported,
            "since": before.get("since") if told_phase and before.get("since") else utc(reported_since),
            "mode": status.mode if status else before.get("mode"),
            "podName": report.pod.name if report.pod else None,
            "loginDeadline": _steady(
                before.get("loginDeadline"), status.login.deadline if status else None, _DEADLINE_STEP_S
            ),
            "lastProbeTime": utc(wall),
            "reauth": _dense(
                {
                    "attempts": budget.attempts,
                    "nextAttemptTime": moment("nextAttemptTime", budget.next_at)
                    if confirmed is Reason.SESSION_LOST
                    else None,
                    "lastAttemptTime": moment("lastAttemptTime", history.attempted_at),
                    "handledRequest": None if history.handled is None else utc(history.handled),
                }
            ),
            "notifications": [_notified(one) for one in history.notified],
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": confirmed.value,
                    "message": report.confirmed,
                    "observedGeneration": session.generation,
                    "lastTransitionTime": _since(condition_of(before, kind), value, wall),
                }
                for kind, value in (
                    ("Reachable", decision.reachable),
                    ("Authenticated", decision.authenticated),
                    ("Competing", decision.competing),
                )
            ],
        }
    )


def applied(session: BrokerageSession, status: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the server-side apply."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": session.name, "namespace": session.namespace},
        "status": dict(status),
    }


def is_worth_writing(wanted: Mapping[str, Any], written: Mapping[str, Any] | None) -> bool:
    """Whether anything but the time of the poll differs."""
    if written is None:
        return True
    ignored = {"lastProbeTime"}
    return {k: v for k, v in wanted.items() if k not in ignored} != {
        k: v for k, v in written.items() if k not in ignored
    }


def event(involved: BrokerageSession | Pod, kind: str, reason: str, text: str, wall: float) -> dict[str, Any]:
    """A core/v1 Event; the server makes its name."""
    is_session = isinstance(involved, BrokerageSession)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{MANAGER}-", "namespace": involved.namespace},
        "type": kind,
        "reason": reason,
        "message": text[:1024],
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}" if is_session else "v1",
            "kind": KIND if is_session else "Pod",
            "namespace": involved.namespace,
            "name": involved.name,
            "uid": involved.uid,
        },
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
        "firstTimestamp": utc(wall),
        "lastTimestamp": utc(wall),
        "count": 1,
    }


def _since(before: Condition | None, status: str, wall: float) -> str:
    """A condition's transition time moves with its status only."""
    return before.since if before is not None and before.status == status and before.since else utc(wall)


def _steady(before: object, at: float | None, step_s: float) -> str | None:
    """``at`` as text, or the text ``before`` when it means about the same."""
    if at is None:
        return None
    known = epoch(before)
    return utc(known if known is not None and abs(known - at) < step_s else at)


def _notified(notified: Notified) -> dict[str, Any]:
    return {
        "reason": notified.reason.value,
        "firstTime": utc(notified.first_at),
        "lastTime": utc(notified.last_at),
        "count": notified.count,
        "open": notified.is_open,
    }


def _dense(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is not there: the API server would drop a null on its own and the next comparison would differ."""
    return {key: value for key, value in fields.items() if value is not None}
