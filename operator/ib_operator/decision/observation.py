"""What one poll of a gateway shows, and which reason it means by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ib_operator.decision.policy import Policy
from ib_operator.decision.spans import until
from ib_operator.decision.states import Reason
from ibkr.session import SessionState, Status

# The keeper reads the session's flags every 15 to 30 s.
FRESH_S = 90.0
# A pod this young may still be on its way; IBKR's program is up within half a minute.
START_GRACE_S = 120.0

_NEED_FRESH = (
    SessionState.AUTHENTICATED,
    SessionState.COMPETING,
    SessionState.REOPENING,
    SessionState.LOGIN_REQUIRED,
    SessionState.PORTFOLIO_ONLY,
)


@dataclass(frozen=True, slots=True)
class Observation:
    """``wall``: epoch second of the poll. ``status`` is None with ``problem`` in words when /status gave none.

    ``pod_age_s``: since the pod was made, None without a pod. ``requested_at``: epoch second of an attempt that the
    owner asked for.
    """

    wall: float
    status: Status | None
    problem: str = ""
    pod: Literal["missing", "pending", "running"] = "running"
    pod_age_s: float | None = None
    requested_at: float | None = None


def maintenance_until(observation: Observation, policy: Policy) -> tuple[bool, float | None]:
    """Whether maintenance is on, by the owner's windows or IBKR's calendar, and until when if known."""
    window = until(policy.windows, observation.wall)
    status = observation.status
    broker = status is not None and status.maintenance.active
    ends = [one for one in (window, status.maintenance.until if broker and status else None) if one is not None]
    return window is not None or broker, max(ends, default=None)


def reason_of(observation: Observation, policy: Policy) -> Reason:
    """The reason that this poll alone means; SESSION_LOST stands for every way a session is closed but signed in."""
    status = observation.status
    if status is None:
        if observation.pod == "missing":
            return Reason.POD_MISSING
        young = observation.pod_age_s is not None and observation.pod_age_s < START_GRACE_S
        return Reason.GATEWAY_STARTING if young or observation.pod == "pending" else Reason.SIDECAR_UNREACHABLE
    if status.state in _NEED_FRESH and status.age_seconds > FRESH_S:
        return Reason.STATUS_STALE
    reason = _BY_STATE[status.state]
    if reason in _EXCUSED and maintenance_until(observation, policy)[0]:
        return Reason.BROKER_MAINTENANCE if status.maintenance.active else Reason.MAINTENANCE_WINDOW
    return reason


_BY_STATE: dict[SessionState, Reason] = {
    SessionState.STARTING: Reason.GATEWAY_STARTING,
    SessionState.LOGIN_REQUIRED: Reason.LOGIN_REQUIRED,
    SessionState.REOPENING: Reason.SESSION_LOST,
    SessionState.COMPETING: Reason.SESSION_COMPETING,
    SessionState.AUTHENTICATED: Reason.SESSION_OPEN,
    SessionState.MAINTENANCE: Reason.BROKER_MAINTENANCE,
    SessionState.UNREACHABLE: Reason.GATEWAY_UNREACHABLE,
    SessionState.HUNG: Reason.GATEWAY_HUNG,
    SessionState.PORTFOLIO_ONLY: Reason.PORTFOLIO_ONLY,
}
# What maintenance explains; nobody needs to be told then.
_EXCUSED = (Reason.SESSION_LOST, Reason.GATEWAY_UNREACHABLE, Reason.GATEWAY_HUNG)
