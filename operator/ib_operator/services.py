"""What the reconcilers of all gateways share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ib_operator.background import BackgroundJobs
from ib_operator.kubernetes.api import Api
from ib_operator.metrics import Metrics
from ib_operator.rate_limiter import RateLimiter

# Each hanging gateway holds one for five seconds of every fifteen.
_POLLS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class OperatorName:
    """``label`` is what gateways of this operator are labelled with; ``own_gateway`` needs no label."""

    label: str
    own_gateway: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Services:
    """``pods`` asks sidecars, ``channels`` the owner's. ``polling`` is held by each poll, whose clock starts then.

    ``operator``: None where every gateway is supervised. ``has_sessions``: whether BrokerageSessions are watched.
    ``wall`` is the calendar, ``chance`` gives numbers from 0 to 1.
    """

    api: Api
    pods: httpx.AsyncClient
    channels: httpx.AsyncClient
    limiter: RateLimiter
    jobs: BackgroundJobs
    metrics: Metrics
    operator: OperatorName | None
    has_sessions: bool
    channels_dir: Path
    control_port: int
    poll_s: float
    wall: Callable[[], float]
    chance: Callable[[], float] = random.random
    polling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_POLLS_AT_ONCE))
