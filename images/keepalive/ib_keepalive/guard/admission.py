"""Whether an operation may go upstream now: by its effect, and by the state of the session."""

from __future__ import annotations

from collections.abc import Callable

from ibkr.errors import IbError, InvalidRequest, OperationForbidden, OperationUnknown, SessionReopening
from ibkr.operation import Operation
from ibkr.session import SIGNED_IN, SessionState, Status, is_loading, refusal

_PORTAL_ACCOUNTS = "list_portfolio_accounts"


def refuse_operation(endpoint: Operation, refuse_writes: Callable[[], str | None]) -> IbError | None:
    """The error of an operation that is not sent: reading is permitted, of what IBKR's gateway serves.

    So is changing what IBKR keeps for the user and is no order, unless ``refuse_writes`` says what to do first.
    """
    if endpoint.effect == "write" and (action := refuse_writes()) is not None:
        return OperationForbidden(f"{endpoint.id} changes what IBKR keeps, and this server only reads.", action=action)
    if endpoint.effect not in ("read", "write"):
        return OperationForbidden(f"{endpoint.id} does more than read, and this server does not permit it.")
    if endpoint.status == "unsupported":
        return OperationUnknown(f"IBKR's gateway does not serve {endpoint.id}: {endpoint.reason}")
    return None


def is_signed_in(status: Status) -> bool:
    """Whether the keeper sees a valid sign-in."""
    return status.state in SIGNED_IN


def read_sign_in(header: bytes | None) -> int | None:
    """The number of the sign-in that a caller means, None for whichever there is."""
    if header is None:
        return None
    if not header.isdigit() or len(header) > 15:
        raise InvalidRequest("The header ib-sign-in is not the number of a sign-in.")
    return int(header)


def refuse_sign_in(number: int | None, present: int) -> IbError | None:
    """The error of a caller that means another sign-in than the present one: its accounts are those of another user."""
    if number is None or number == present:
        return None
    return SessionReopening(
        "Somebody signed in anew since the accounts were listed.",
        action="Ask again: the accounts may be others now.",
        retry_after_s=1,
    )


def refuse_session(endpoint: Operation, status: Status, *, now: float) -> IbError | None:
    """The error of a caller whose operation needs more session than there is; ``now`` in epoch seconds."""
    if endpoint.tier == "none":
        return None
    if endpoint.tier == "sso" and is_signed_in(status):
        return _refuse_loading(endpoint, status)
    return state_error(status, now=now)


def _refuse_loading(endpoint: Operation, status: Status) -> IbError | None:
    """Portfolio data read while IBKR loads the accounts is empty, and not because there is none."""
    if not is_loading(status.auth) or not ("Portfolio" in endpoint.tags or _PORTAL_ACCOUNTS in endpoint.preflight):
        return None
    return SessionReopening("IBKR is loading the account data of the session.", retry_after_s=3)


def state_error(status: Status, *, now: float) -> IbError | None:
    """What a caller is told about the session's state, or None while it is open."""
    until = status.maintenance.until if status.state is SessionState.MAINTENANCE else None
    wait = None if until is None else max(1.0, until - now)
    return refusal(status.state, login=status.login.url_hint, retry_after_s=wait)
