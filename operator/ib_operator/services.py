"""What the reconcilers of all gateways share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from ib_operator.background import BackgroundJobs
from ib_operator.kubernetes.api import Api
from ib_operator.metrics import Metrics
from ib_operator.rate_limiter import RateLimiter


@dataclass(frozen=True, slots=True)
class Services:
    """``wall`` is the calendar, ``chance`` gives numbers from 0 to 1."""

    api: Api
    client: httpx.AsyncClient
    limiter: RateLimiter
    jobs: BackgroundJobs
    metrics: Metrics
    channels_dir: Path
    control_port: int
    poll_s: float
    wall: Callable[[], float]
    chance: Callable[[], float] = random.random
