"""Whether an operation may go upstream now: by its effect, and by the state of the session."""

from __future__ import annotations

from ibkr.errors import IbError, OperationForbidden, OperationUnknown
from ibkr.operation import Operation
from ibkr.session import SIGNED_IN, SessionState, Status, refusal


def refuse_operation(endpoint: Operation) -> IbError | None:
    """The error of an operation that is never sent: only reading is permitted, of what IBKR's gateway serves."""
    if endpoint.effect != "read":
        return OperationForbidden(f"{endpoint.id} does more than read, and this server only reads.")
    if endpoint.status == "unsupported":
        return OperationUnknown(f"IBKR's gateway does not serve {endpoint.id}: {endpoint.reason}")
    return None


def is_signed_in(status: Status) -> bool:
    """Whether the keeper sees a valid sign-in."""
    return status.state in SIGNED_IN


def refuse_session(endpoint: Operation, status: Status, *, now: float) -> IbError | None:
    """The error of a caller whose operation needs more session than there is; ``now`` in epoch seconds."""
    if endpoint.tier == "none" or (endpoint.tier == "sso" and is_signed_in(status)):
        return None
    return state_error(status, now=now)


def state_error(status: Status, *, now: float) -> IbError | None:
    """What a caller is told about the session's state, or None while it is open."""
    until = status.maintenance.until if status.state is SessionState.MAINTENANCE else None
    wait = None if until is None else max(1.0, until - now)
    return refusal(status.state, login=status.login.url_hint, retry_after_s=wait)
