"""Every phase and reason of a session, with what Kubernetes and people are told about it. One row per reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Truth = Literal["True", "False", "Unknown"]


class Phase(StrEnum):
    """``status.phase`` of a BrokerageSession."""

    STARTING = "Starting"
    AWAITING_LOGIN = "AwaitingLogin"
    REAUTHENTICATING = "Reauthenticating"
    COMPETING = "Competing"
    AUTHENTICATED = "Authenticated"
    MAINTENANCE = "Maintenance"
    UNREACHABLE = "Unreachable"
    HUNG = "Hung"
    PAUSED = "Paused"
    PORTFOLIO_ONLY = "PortfolioOnly"


class Reason(StrEnum):
    """Closed set: reasons of conditions and Events, and kinds of notifications."""

    GATEWAY_STARTING = "GatewayStarting"
    LOGIN_REQUIRED = "LoginRequired"
    SESSION_LOST = "SessionLost"
    REAUTH_EXHAUSTED = "ReauthExhausted"
    REAUTH_DISABLED = "ReauthDisabled"
    SESSION_COMPETING = "SessionCompeting"
    SESSION_OPEN = "SessionOpen"
    BROKER_MAINTENANCE = "BrokerMaintenance"
    MAINTENANCE_WINDOW = "MaintenanceWindow"
    POD_MISSING = "PodMissing"
    SIDECAR_UNREACHABLE = "SidecarUnreachable"
    STATUS_STALE = "StatusStale"
    GATEWAY_UNREACHABLE = "GatewayUnreachable"
    GATEWAY_HUNG = "GatewayHung"
    PAUSED_BY_OWNER = "PausedByOwner"
    PORTFOLIO_ONLY = "PortfolioOnly"


@dataclass(frozen=True, slots=True)
class Row:
    """What is reported for one reason.

    ``reachable``, ``competing``, ``authenticated``: condition values; the readiness gate is ``authenticated``, with
    Unknown counting as False. ``message`` may use {login}, {attempts}, {until} and {problem}.
    ``notify_after_s``: how long it must last before a person is told; None: nobody is.
    """

    phase: Phase
    reachable: Truth
    authenticated: Truth
    competing: Truth
    event: Literal["Normal", "Warning"]
    notify_after_s: float | None
    message: str


_NOW, _LATER = 0.0, 600.0

# The row of PAUSED_BY_OWNER is for the phase, the Event and the message; its conditions are those of what is seen.
ROWS: dict[Reason, Row] = {
    Reason.GATEWAY_STARTING: Row(
        Phase.STARTING, "Unknown", "Unknown", "Unknown", "Normal", _LATER,
        "The gateway pod is starting: wait a minute, then look at the pod if this stays ({problem})."),
    Reason.LOGIN_REQUIRED: Row(
        Phase.AWAITING_LOGIN, "True", "False", "False", "Warning", _NOW,
        "Nobody is signed in at IBKR: {login}."),
    Reason.SESSION_LOST: Row(
        Phase.REAUTHENTICATING, "True", "False", "False", "Warning", None,
        "The brokerage session is not open and is being opened: wait ({attempts} attempts made)."),
    Reason.REAUTH_EXHAUSTED: Row(
        Phase.REAUTHENTICATING, "True", "False", "False", "Warning", _NOW,
        "The brokerage session stays closed after {attempts} attempts: sign in again, {login}."),
    Reason.REAUTH_DISABLED: Row(
        Phase.REAUTHENTICATING, "True", "False", "False", "Warning", _NOW,
        "The brokerage session is closed and spec.reauth does not let it be opened: sign in again, {login}."),
    Reason.SESSION_COMPETING: Row(
        Phase.COMPETING, "True", "False", "True", "Warning", _NOW,
        "TWS, IBKR Mobile or another program uses this username: log out there, or sign in here again, {login}."),
    Reason.SESSION_OPEN: Row(
        Phase.AUTHENTICATED, "True", "True", "False", "Normal", None,
        "The brokerage session is open: nothing to do."),
    Reason.BROKER_MAINTENANCE: Row(
        Phase.MAINTENANCE, "True", "False", "Unknown", "Normal", None,
        "IBKR is under maintenance: wait{until}."),
    Reason.MAINTENANCE_WINDOW: Row(
        Phase.MAINTENANCE, "Unknown", "False", "Unknown", "Normal", None,
        "The session is closed within a maintenance window of yours: wait{until}."),
    Reason.POD_MISSING: Row(
        Phase.UNREACHABLE, "False", "False", "Unknown", "Warning", _LATER,
        "There is no gateway pod: check that spec.gatewayRef names the StatefulSet and that its pod can be made."),
    Reason.SIDECAR_UNREACHABLE: Row(
        Phase.UNREACHABLE, "False", "Unknown", "Unknown", "Warning", _LATER,
        "The pod's keepalive does not answer: look at its logs ({problem})."),
    Reason.STATUS_STALE: Row(
        Phase.UNREACHABLE, "False", "Unknown", "Unknown", "Warning", _LATER,
        "The pod's keepalive has seen nothing of the session for minutes: look at its logs."),
    Reason.GATEWAY_UNREACHABLE: Row(
        Phase.UNREACHABLE, "False", "Unknown", "Unknown", "Warning", _LATER,
        "The gateway program or IBKR is out of reach: look at the gateway's logs and the pod's network."),
    Reason.GATEWAY_HUNG: Row(
        Phase.HUNG, "False", "Unknown", "Unknown", "Warning", _LATER,
        "The gateway program runs but IBKR's answers do not arrive: check its network; a restart costs the sign-in."),
    Reason.PAUSED_BY_OWNER: Row(
        Phase.PAUSED, "Unknown", "Unknown", "Unknown", "Normal", None,
        "spec.paused is true: the session is watched, but not opened again and nobody is told."),
    Reason.PORTFOLIO_ONLY: Row(
        Phase.PORTFOLIO_ONLY, "True", "True", "False", "Normal", None,
        "Somebody is signed in and the brokerage session is left to other programs: nothing to do."),
}  # fmt: skip
