"""Session states and the version-1 ``/status`` contract that the keeper writes and everyone else reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Self, get_args

from ibkr.errors import (
    IbError,
    LoginRequired,
    Maintenance,
    OperationForbidden,
    SessionCompeting,
    SessionReopening,
    UpstreamTimeout,
    UpstreamUnreachable,
)

Mode = Literal["live", "paper", "unknown"]
# Who opens the brokerage session after a sign-in: the keeper, IBKR's program by itself, or nobody.
Opener = Literal["keeper", "gateway", "nobody"]


class SessionState(StrEnum):
    """What the keeper concluded from tickle and auth/status; nobody else decides it."""

    STARTING = "starting"
    LOGIN_REQUIRED = "login_required"
    REOPENING = "reopening"
    COMPETING = "competing"
    AUTHENTICATED = "authenticated"
    MAINTENANCE = "maintenance"
    UNREACHABLE = "unreachable"
    HUNG = "hung"
    PORTFOLIO_ONLY = "portfolio_only"


# Portal data needs the sign-in only, whatever the brokerage session does.
SIGNED_IN = frozenset(
    {SessionState.AUTHENTICATED, SessionState.REOPENING, SessionState.COMPETING, SessionState.PORTFOLIO_ONLY}
)


class _Section:
    __slots__: tuple[str, ...] = ()

    @classmethod
    def read(cls, body: object) -> Self:
        """Build from JSON; unknown fields are ignored and missing ones keep their defaults."""
        given = body if isinstance(body, dict) else {}
        return cls(**{name: given[name] for name in cls.__slots__ if name in given})

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class GatewayStatus(_Section):
    """``latency_ms`` of the last answered probe; ``started_at`` epoch s; ``build`` is the program's own name.

    ``instance`` names the pod (or the keepalive's run, where there is no pod): a request to open may name it, and one
    that names another is refused. ``replace_by`` (epoch s): from then on timers of old sign-ins may make the program
    tickle, and log out at a loss; replace it before, when nobody is signed in. ``tickles``: whether the program is
    known to tickle by itself; ``next_tickle_at`` is the next one's time where it is known.
    """

    reachable: bool = False
    latency_ms: float | None = None
    started_at: float | None = None
    build: str | None = None
    instance: str | None = None
    replace_by: float | None = None
    tickles: bool | None = None
    next_tickle_at: float | None = None


@dataclass(frozen=True, slots=True)
class SignInStatus(_Section):
    """``number`` grows with every sign-in that was noticed and never goes back; ``at`` (epoch s) is when it was.

    What was learnt under one number says nothing about another. 0 until the first.
    """

    number: int = 0
    at: float | None = None


@dataclass(frozen=True, slots=True)
class AuthStatus(_Section):
    """Flags of auth/status; ``established`` is None where the broker does not say."""

    connected: bool = False
    authenticated: bool = False
    competing: bool = False
    established: bool | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class TickleStatus(_Section):
    """Epoch s; ``failures`` counts since the last good one."""

    last_ok_at: float | None = None
    failures: int = 0
    next_due: float | None = None


@dataclass(frozen=True, slots=True)
class ReauthStatus(_Section):
    """Openings of the brokerage session. ``next_allowed_at`` (epoch s) is None when one may be asked for now.

    ``opener`` opens it after a sign-in. ``attempts`` were made in the present bad spell, by whomever; ``is_used_up``
    once the quick ones failed: the owner should be told. ``next_attempt_at`` is when the keeper tries by itself, None
    when it will not. ``rung`` is the way of opening that worked last.
    """

    last_at: float | None = None
    last_result: str | None = None
    next_allowed_at: float | None = None
    opener: Opener = "keeper"
    attempts: int = 0
    is_used_up: bool = False
    next_attempt_at: float | None = None
    rung: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyStatus(_Section):
    """The owner's word about opening a lost session; ``set_at`` (epoch s) is None while it is that of the settings.

    ``paused``: nobody opens anything, except at a sign-in. ``reopen``: whether anybody but a person may ask for it.
    ``max_attempts`` in one bad spell; None: as many as it takes, farther and farther apart.
    """

    paused: bool = False
    reopen: bool = False
    max_attempts: int | None = None
    set_at: float | None = None


@dataclass(frozen=True, slots=True)
class LoginStatus(_Section):
    """``deadline`` (epoch s): when the present login is expected to end; ``url_hint``: where to sign in."""

    deadline: float | None = None
    url_hint: str | None = None


@dataclass(frozen=True, slots=True)
class MaintenanceStatus(_Section):
    active: bool = False
    until: float | None = None


@dataclass(frozen=True, slots=True)
class PacingStatus(_Section):
    """``penalty_until`` (epoch s): when IBKR takes requests again, after it was sent too many; None in good times."""

    penalty_until: float | None = None


@dataclass(frozen=True, slots=True)
class TrafficStatus(_Section):
    """Since the keepalive started: requests ``sent`` to IBKR's program, ``answers`` to callers by where they came from.

    ``waiting``: calls that wait for their turn now.
    """

    sent: int = 0
    waiting: int = 0
    answers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TradingStatus(_Section):
    """Whether orders may be placed. ``mode``: the owner's; ``effective_mode``: what is carried out of it at present.

    ``problem``: what keeps trading off against the owner's wish. ``stopped``: by whom (``by``), why (``reason``) and
    when (``at``, epoch s) it was stopped. ``unknown``: orders of which it is not known whether they stand at IBKR;
    ``pending_approvals``: orders that wait for a person's word, given at ``approval_url``; the newest since
    ``approval_asked_at`` (epoch s).
    """

    mode: str = "off"
    effective_mode: str = "off"
    problem: str | None = None
    stopped: dict[str, Any] | None = None
    unknown: int | None = None
    pending_approvals: int | None = None
    approval_asked_at: float | None = None
    approval_url: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The body of ``GET /status``. Times are epoch seconds. Never an account number, user name or cookie."""

    state: SessionState
    observed_at: float
    state_since: float
    age_seconds: float = 0.0
    mode: Mode = "unknown"
    gateway: GatewayStatus = field(default_factory=GatewayStatus)
    auth: AuthStatus = field(default_factory=AuthStatus)
    tickle: TickleStatus = field(default_factory=TickleStatus)
    reauth: ReauthStatus = field(default_factory=ReauthStatus)
    login: LoginStatus = field(default_factory=LoginStatus)
    maintenance: MaintenanceStatus = field(default_factory=MaintenanceStatus)
    sign_in: SignInStatus = field(default_factory=SignInStatus)
    policy: PolicyStatus = field(default_factory=PolicyStatus)
    pacing: PacingStatus = field(default_factory=PacingStatus)
    traffic: TrafficStatus = field(default_factory=TrafficStatus)
    trading: TradingStatus = field(default_factory=TradingStatus)
    schema: int = 1

    def to_json(self) -> dict[str, Any]:
        # Sections are flat; asdict, which knows nothing of that, takes five times as long.
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value.to_json() if isinstance(value, _Section) else value for name, value in values}

    @classmethod
    def from_json(cls, body: object) -> Status:
        """Read an answer of ``/status``; unknown fields are ignored. ValueError when it is not of version 1."""
        if not isinstance(body, dict):
            raise ValueError("/status is not a JSON object")
        if body.get("schema") != 1:
            raise ValueError(f"/status has schema {body.get('schema')!r}, this program reads 1")
        try:
            return cls(
                state=SessionState(body["state"]),
                observed_at=float(body["observed_at"]),
                state_since=float(body["state_since"]),
                age_seconds=float(body.get("age_seconds", 0.0)),
                mode=body["mode"] if body.get("mode") in get_args(Mode) else "unknown",
                gateway=GatewayStatus.read(body.get("gateway")),
                auth=AuthStatus.read(body.get("auth")),
                tickle=TickleStatus.read(body.get("tickle")),
                reauth=ReauthStatus.read(body.get("reauth")),
                login=LoginStatus.read(body.get("login")),
                maintenance=MaintenanceStatus.read(body.get("maintenance")),
                sign_in=SignInStatus.read(body.get("sign_in")),
                policy=PolicyStatus.read(body.get("policy")),
                pacing=PacingStatus.read(body.get("pacing")),
                traffic=TrafficStatus.read(body.get("traffic")),
                trading=TradingStatus.read(body.get("trading")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"/status cannot be read: {error!r}") from error


class Glance(NamedTuple):
    """What every question of a caller depends on; making it costs a fraction of a whole ``Status``.

    ``state_since`` and ``started_at`` (of the gateway's program) in epoch seconds; ``sign_in`` is its number.
    ``is_loading``: IBKR has not loaded the accounts of the sign-in yet.
    """

    state: SessionState
    state_since: float
    mode: Mode
    started_at: float | None
    sign_in: int
    is_loading: bool

    @property
    def is_open(self) -> bool:
        """Whether nothing about the session keeps IBKR from answering."""
        return self.state is SessionState.AUTHENTICATED and not self.is_loading

    @classmethod
    def at(cls, status: Status) -> Glance:
        return cls(
            status.state,
            status.state_since,
            status.mode,
            status.gateway.started_at,
            status.sign_in.number,
            is_loading=is_loading(status.auth),
        )


def is_loading(auth: AuthStatus) -> bool:
    """Whether a session is open whose accounts IBKR is still loading."""
    return auth.authenticated and auth.established is False


_PORTFOLIO_ONLY_ACTION = "Use the portfolio tools, or ask the owner to let the brokerage session be opened."
_REFUSALS: dict[SessionState, tuple[type[IbError], str, float | None]] = {
    SessionState.STARTING: (SessionReopening, "The session state is not known yet.", 2),
    SessionState.LOGIN_REQUIRED: (LoginRequired, "Nobody is signed in at IBKR's gateway.", None),
    SessionState.REOPENING: (SessionReopening, "IBKR's brokerage session is not open at the moment.", 5),
    SessionState.COMPETING: (SessionCompeting, "Another IBKR session of the same user is active.", None),
    SessionState.MAINTENANCE: (Maintenance, "IBKR is under maintenance.", None),
    SessionState.UNREACHABLE: (UpstreamUnreachable, "IBKR cannot be reached through its gateway.", 5),
    SessionState.HUNG: (UpstreamTimeout, "IBKR's gateway is up, but no answers come from IBKR.", 15),
    SessionState.PORTFOLIO_ONLY: (
        OperationForbidden,
        "The owner leaves the brokerage session to other programs; this server reads the portfolio only.",
        None,
    ),
}


def refusal(state: SessionState, *, login: str | None = None, retry_after_s: float | None = None) -> IbError | None:
    """The error a caller gets in this state, or None when the session is open."""
    if state is SessionState.AUTHENTICATED:
        return None
    kind, message, wait = _REFUSALS[state]
    return kind(
        message,
        retry_after_s=wait if retry_after_s is None else retry_after_s,
        login=login if kind is LoginRequired else None,
        action=_PORTFOLIO_ONLY_ACTION if state is SessionState.PORTFOLIO_ONLY else None,
    )
