"""What the owner wants: the spec of a BrokerageSession, read leniently so that an odd one never stops the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ib_operator.decision.spans import DAYS, Span

Rollout = Literal["Never", "WhenIdle", "Immediate"]
ChannelKind = Literal["webhook", "ntfy", "apprise"]


@dataclass(frozen=True, slots=True)
class Channel:
    """Where notifications go. ``secret`` names a folder below the channels folder, mounted from a Secret."""

    name: str
    kind: ChannelKind
    secret: str


@dataclass(frozen=True, slots=True)
class Policy:
    """``problems`` are sentences about parts of the spec that could not be read and count as absent.

    ``max_attempts`` in one bad spell; None: as many as it takes, farther and farther apart. ``is_known``: False while
    a BrokerageSession may still come and forbid what this allows.
    """

    paused: bool = False
    reauth_enabled: bool = True
    max_attempts: int | None = None
    compete: bool = False
    windows: tuple[Span, ...] = ()
    quiet: tuple[Span, ...] = ()
    channels: tuple[Channel, ...] = ()
    rollout: Rollout = "Never"
    is_known: bool = True
    problems: tuple[str, ...] = field(default=(), compare=False)


def parse(spec: Mapping[str, Any]) -> Policy:
    """The policy that ``spec`` asks for."""
    problems: list[str] = []
    reauth = _mapping(spec.get("reauth"))
    attempts = reauth.get("maxAttempts")
    quiet = spec.get("quietHours")
    rollout = _mapping(spec.get("rollout")).get("policy", "Never")
    return Policy(
        paused=spec.get("paused") is True,
        reauth_enabled=reauth.get("enabled") is not False,
        max_attempts=max(attempts, 0) if isinstance(attempts, int) and not isinstance(attempts, bool) else None,
        compete=reauth.get("compete") is True,
        windows=_spans(spec.get("maintenanceWindows") or [], "maintenanceWindows", problems),
        quiet=_spans([quiet] if quiet else [], "quietHours", problems),
        channels=_channels(spec.get("notifications") or [], problems),
        rollout=rollout if rollout in ("WhenIdle", "Immediate") else "Never",
        problems=tuple(problems),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _spans(listed: list[Any], where: str, problems: list[str]) -> tuple[Span, ...]:
    spans = []
    for number, one in enumerate(listed):
        try:
            spans.append(
                Span(
                    start=time.fromisoformat(one["start"]),
                    end=time.fromisoformat(one["end"]),
                    zone=ZoneInfo(one["timeZone"]),
                    days=frozenset(DAYS.index(day) for day in one.get("days") or DAYS),
                )
            )
        # zoneinfo raises KeyError for a name it does not know, ValueError or OSError for one that is no name.
        except (KeyError, TypeError, ValueError, OSError) as error:
            problems.append(
                f"spec.{where}[{number}] is not used ({error}): give start and end as HH:MM and an IANA timeZone."
            )
    return tuple(spans)


def _channels(listed: list[Any], problems: list[str]) -> tuple[Channel, ...]:
    channels = []
    for number, one in enumerate(listed):
        try:
            if one["type"] not in ("webhook", "ntfy", "apprise"):
                raise ValueError(f"type {one['type']}")
            channels.append(Channel(name=one["name"], kind=one["type"], secret=one["secretRef"]["name"]))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"spec.notifications[{number}] is not used ({error}): give name, type and secretRef.name.")
    return tuple(channels)
