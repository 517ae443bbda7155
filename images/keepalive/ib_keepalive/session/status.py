"""``/status`` from what the keeper knows; the loop's seconds become epoch seconds here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_keepalive.session import calendar
from ib_keepalive.session.sign_in import SignInFacts
from ib_keepalive.session.states import Verdict
from ibkr.session import (
    SIGNED_IN,
    GatewayStatus,
    LoginStatus,
    MaintenanceStatus,
    ReauthStatus,
    SessionState,
    Status,
    TickleStatus,
)


@dataclass(slots=True)
class KeeperCounters:
    """Counts and times (loop seconds) that ``/status`` shows; nothing is opened before ``reopen_earliest``."""

    latency_ms: float | None = None
    gateway_started: float | None = None
    tickled: float | None = None
    tickle_failures: int = 0
    reopened: float | None = None
    reopen_result: str | None = None
    reopen_earliest: float = 0.0


def build(
    verdict: Verdict,
    counters: KeeperCounters,
    facts: SignInFacts,
    *,
    now: float,
    wall: float,
    down_until: float | None,
    tickle_due: float | None,
    build_name: str | None,
    login_hint: str | None,
) -> Status:
    """The status at loop second ``now``, which is epoch second ``wall``; ``down_until`` as in its ``maintenance``."""

    def epoch(at: float) -> float:
        return round(wall - (now - at), 3)

    def epoch_if(at: float | None) -> float | None:
        return None if at is None else epoch(at)

    deadline = None
    if verdict.state in SIGNED_IN:
        deadline = calendar.sign_in_ends(
            wall, region=facts.region, signed_in_at=facts.signed_in_at, sso_left_s=facts.sso_left_s
        )
    return Status(
        state=verdict.state,
        observed_at=epoch(verdict.concluded_at),
        state_since=epoch(verdict.since),
        age_seconds=round(max(0.0, now - verdict.concluded_at), 3),
        mode=facts.mode,
        gateway=GatewayStatus(
            reachable=verdict.reachable,
            latency_ms=counters.latency_ms,
            started_at=epoch_if(counters.gateway_started),
            build=build_name,
        ),
        auth=replace(verdict.flags, message=verdict.flags.message or verdict.reason),
        tickle=TickleStatus(
            last_ok_at=epoch_if(counters.tickled),
            failures=counters.tickle_failures,
            next_due=epoch_if(tickle_due),
        ),
        reauth=ReauthStatus(
            last_at=epoch_if(counters.reopened),
            last_result=counters.reopen_result,
            next_allowed_at=epoch(counters.reopen_earliest) if counters.reopen_earliest > now else None,
        ),
        login=LoginStatus(deadline=deadline, url_hint=login_hint),
        maintenance=MaintenanceStatus(
            active=down_until is not None or verdict.state is SessionState.MAINTENANCE, until=down_until
        ),
    )
