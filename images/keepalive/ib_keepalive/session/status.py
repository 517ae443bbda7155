"""``/status`` from what the keeper knows; the loop's seconds become epoch seconds here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_keepalive.session import calendar
from ib_keepalive.session.gateway import GatewayProcess
from ib_keepalive.session.openings import Openings
from ib_keepalive.session.sign_in import SignInFacts, SignIns
from ib_keepalive.session.states import Verdict
from ibkr.session import (
    SIGNED_IN,
    GatewayStatus,
    LoginStatus,
    MaintenanceStatus,
    PacingStatus,
    PolicyStatus,
    ReauthStatus,
    SessionState,
    SignInStatus,
    Status,
    TickleStatus,
)


@dataclass(slots=True)
class KeeperCounters:
    """Counts and times (loop seconds) of the keeper's own requests that ``/status`` shows."""

    latency_ms: float | None = None
    tickled: float | None = None
    tickle_failures: int = 0


def build(
    verdict: Verdict,
    counters: KeeperCounters,
    facts: SignInFacts,
    openings: Openings,
    gateway: GatewayProcess,
    sign_ins: SignIns,
    *,
    now: float,
    wall: float,
    down_until: float | None,
    tickle_due: float | None,
    login_hint: str | None,
    penalty_s: float,
    trouble: str | None,
    is_by_keys: bool,
) -> Status:
    """The status at loop second ``now``, which is epoch second ``wall``; ``down_until`` as in its ``maintenance``.

    ``trouble`` is what a person has to see to; a sign-in that ``is_by_keys`` is renewed and has no end.
    """

    def epoch(at: float) -> float:
        return round(wall - (now - at), 3)

    def epoch_if(at: float | None) -> float | None:
        return None if at is None else epoch(at)

    deadline = None
    if verdict.state in SIGNED_IN and not is_by_keys:
        deadline = calendar.sign_in_ends(
            wall, region=facts.region, signed_in_at=facts.signed_in_at, sso_left_s=facts.sso_left_s
        )
    message = trouble or openings.advice(verdict.state) or verdict.flags.message or verdict.reason
    policy = openings.policy
    return Status(
        pacing=PacingStatus(epoch(now + penalty_s) if penalty_s else None),
        state=verdict.state,
        observed_at=epoch(verdict.concluded_at),
        state_since=epoch(verdict.since),
        age_seconds=round(max(0.0, now - verdict.concluded_at), 3),
        mode=facts.mode if verdict.state in SIGNED_IN else "unknown",
        gateway=GatewayStatus(
            reachable=verdict.reachable,
            latency_ms=counters.latency_ms,
            started_at=epoch_if(gateway.started),
            build=gateway.build,
            instance=gateway.instance,
            replace_by=gateway.replace_by(),
            tickles=gateway.tickles(wall),
            next_tickle_at=epoch_if(gateway.next_tickle(now)),
        ),
        auth=replace(verdict.flags, message=message),
        tickle=TickleStatus(
            last_ok_at=epoch_if(counters.tickled),
            failures=counters.tickle_failures,
            next_due=epoch_if(tickle_due),
        ),
        reauth=ReauthStatus(
            last_at=epoch_if(openings.last_at),
            last_result=openings.last_result,
            next_allowed_at=epoch(openings.earliest) if openings.earliest > now else None,
            opener=openings.opener,
            attempts=openings.budget.attempts,
            is_used_up=openings.budget.is_used_up(policy),
            next_attempt_at=epoch_if(openings.try_at(verdict)),
            rung=openings.rung,
        ),
        login=LoginStatus(deadline=deadline, url_hint=login_hint),
        maintenance=MaintenanceStatus(
            active=down_until is not None or verdict.state is SessionState.MAINTENANCE, until=down_until
        ),
        sign_in=SignInStatus(number=sign_ins.number, at=sign_ins.at),
        policy=PolicyStatus(
            paused=policy.paused, reopen=policy.reopen, max_attempts=policy.max_attempts, set_at=policy.set_at
        ),
    )
