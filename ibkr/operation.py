"""One operation that IBKR's gateway serves: the entry of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Method = Literal["GET", "POST", "PUT", "DELETE"]
Tier = Literal["none", "sso", "brokerage"]
Effect = Literal["read", "preview", "session", "safety", "write", "trade", "charge", "stream"]
Support = Literal["supported", "tested", "unsupported"]

TAGS = (
    "Session",
    "Portfolio",
    "Portfolio Analyst",
    "Contract",
    "Options Chains",
    "Market Data",
    "Scanner",
    "Watchlists",
    "Alerts",
    "Order Monitoring",
    "Orders",
    "FYIs and Notifications",
    "Events Contracts",
    "FA Allocation Management",
)


# Named tuples, because importing dataclasses would take a fifth of the time of loading the catalogue.
class Parameter(NamedTuple):
    """A path, query or body parameter; ``required`` as the live API wants it, not as the document says."""

    name: str
    required: bool


class Pacing(NamedTuple):
    """``calls`` per ``seconds``."""

    calls: int
    seconds: float


class Operation(NamedTuple):
    """One operation. ``path`` is a template without the ``/v1/api`` prefix, e.g. ``/portfolio/{accountId}/meta``.

    ``fresh_s``: how long an answer may be shared between callers; 0 = never. ``concurrent``: calls at the same time.
    ``preflight``: ids of operations that must have been called once in this brokerage session; those that need no
    arguments (``needs_arguments``) can be made on a caller's behalf.
    ``warms_up``: the first answers of a session may be empty or lack fields, the same call a second later has them.
    ``cold``: how such a first answer looks, as in the head of ``endpoints.toml``; ``emptied_by``: a parameter whose
    ``true`` is answered with nothing and fills the next answer.
    ``answers_within_s``: how long an answer may take by nature. ``share``: the most that the guard sends of it.
    ``limits``: by parameter, the most entries of a list or the largest value of a number.
    ``never``: values of path parameters that IBKR takes for all of them at once, which are never sent.
    ``accounts``: how the answer tells of accounts, as in the head of ``endpoints.toml``; empty: of any.
    ``tier_assumed``: IBKR does not document the tier. ``reason``: why it is unsupported, or what is doubtful about it.
    """

    id: str
    method: Method
    path: str
    title: str
    tags: tuple[str, ...]
    tier: Tier
    effect: Effect
    status: Support = "supported"
    reason: str = ""
    pacing: Pacing | None = None
    concurrent: int | None = None
    fresh_s: float = 0.0
    preflight: tuple[str, ...] = ()
    query: tuple[Parameter, ...] = ()
    body: tuple[Parameter, ...] = ()
    warms_up: bool = False
    cold: str = ""
    emptied_by: str = ""
    # IBKR's own proxy gives up after 10 s with a 503.
    answers_within_s: float = 15.0
    share: Pacing | None = None
    limits: Mapping[str, int] = MappingProxyType({})
    never: Mapping[str, str] = MappingProxyType({})
    accounts: str = ""
    tier_assumed: bool = False

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def needs_arguments(self) -> bool:
        """Whether a call without any argument is refused."""
        return bool(self.path_parameters) or any(parameter.required for parameter in (*self.query, *self.body))
