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
    policy: Policy
    reported: str
    confirmed: str
    troubles: tuple[tuple[str, str], ...] = ()


def message(reason: Reason, decision: Decision, observation: Observation) -> str:
    """The sentence that says what to do."""
    status, ends = observation.status, decision.maintenance_until
    return ROWS[reason].message.format(
        login=(status.login.url_hint if status else None) or _NO_HINT,
        attempts=status.reauth.attempts if status else 0,
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
    status, confirmed = observation.status, decision.history.confirmed
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
                    "attempts": status.reauth.attempts if status else reauth_before.get("attempts"),
                    "nextAttemptTime": _steady(
                        reauth_before.get("nextAttemptTime"),
                        status.reauth.next_attempt_at if status and confirmed is Reason.SESSION_LOST else None,
                        _CLOCK_STEP_S,
                    ),
                    "lastAttemptTime": moment("lastAttemptTime", history.attempted_at),
                    "handledRequest": None if history.handled is None else utc(history.handled),
                }
            ),
            "notifications": [_notified(one) for one in history.notified],
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": reason,
                    "message": text,
                    "observedGeneration": session.generation,
                    "lastTransitionTime": _since(condition_of(before, kind), value, wall),
                }
                for kind, value, reason, text in (
                    ("Reachable", decision.reachable, confirmed.value, report.confirmed),
                    ("Authenticated", decision.authenticated, confirmed.value, report.confirmed),
                    ("Competing", decision.competing, confirmed.value, report.confirmed),
                    ("SpecAccepted", *_spec_accepted(session)),
                    ("OwnerTold", *_owner_told(report.troubles)),
                )
            ],
        }
    )


def ignored_status(session: BrokerageSession, used: BrokerageSession, wall: float) -> dict[str, Any]:
    """The status of a session that has no effect, since ``used`` is about the same gateway."""
    text = f"The BrokerageSession {used.name} is used for the gateway {session.gateway}: delete one of the two."
    return {
        "observedGeneration": session.generation,
        "phase": "Ignored",
        "reason": "AnotherSessionIsUsed",
        "message": text,
        "since": session.status.get("since") if session.status.get("phase") == "Ignored" else utc(wall),
        "conditions": [
            {
                "type": "SpecAccepted",
                "status": "False",
                "reason": "AnotherSessionIsUsed",
                "message": text,
                "observedGeneration": session.generation,
                "lastTransitionTime": _since(condition_of(session.status, "SpecAccepted"), "False", wall),
            }
        ],
    }


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


def _spec_accepted(session: BrokerageSession) -> tuple[str, str, str]:
    """Status, reason and message of the condition."""
    if session.problems:
        return "False", "InvalidSpec", " ".join(session.problems)
    return "True", "Accepted", "Everything in spec is used: nothing to do."


def _owner_told(troubles: tuple[tuple[str, str], ...]) -> tuple[str, str, str]:
    if troubles:
        told = "; ".join(f"{name}: {why}" for name, why in troubles)
        return "False", "Undelivered", f"A message to the owner does not arrive, and is tried again ({told})."
    return "True", "NothingPending", "Every message to the owner was delivered: nothing to do."


def operator_event(namespace: str, deployment: str, text: str, wall: float) -> dict[str, Any]:
    """An Event about the operator itself."""
    return _event(("apps/v1", "Deployment", namespace, deployment, None), "Warning", "WatchFailed", text, wall)


def event(involved: BrokerageSession | Pod, kind: str, reason: str, text: str, wall: float) -> dict[str, Any]:
    """A core/v1 Event; the server makes its name."""
    is_session = isinstance(involved, BrokerageSession)
    version, what = (f"{GROUP}/{VERSION}", KIND) if is_session else ("v1", "Pod")
    return _event((version, what, involved.namespace, involved.name, involved.uid), kind, reason, text, wall)


def _event(
    about: tuple[str, str, str, str, str | None], kind: str, reason: str, text: str, wall: float
) -> dict[str, Any]:
    version, what, namespace, name, uid = about
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{MANAGER}-", "namespace": namespace},
        "type": kind,
        "reason": reason,
        "message": text[:1024],
        "involvedObject": _dense(
            {"apiVersion": version, "kind": what, "namespace": namespace, "name": name, "uid": uid}
        ),
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
        "kind": notified.kind,
        "pending": list(notified.pending),
        "delivered": notified.is_delivered,
    }


def _dense(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is not there: the API server would drop a null on its own and the next comparison would differ."""
    return {key: value for key, value in fields.items() if value is not None}
