"""Sending one kind of message of a gateway to its channels: in the background, one at a time, and again if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ib_operator.background import TryLater
from ib_operator.decision.policy import Channel
from ib_operator.kubernetes.objects import Key
from ib_operator.notify import channels
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.notify.sender")

# Seconds before each new try of a message at a channel; the last one again and again.
_WAITS_S = (2.0, 10.0, 30.0, 60.0)


class Sender:
    def __init__(self, key: Key, services: Services) -> None:
        self._key = key
        self._services = services
        self._sending: set[str] = set()
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._troubles: dict[str, str] = {}

    def trouble(self, channel: str) -> str:
        """Why the last try at a channel failed."""
        return self._troubles.get(channel, "no answer yet")

    def send(self, channel: Channel, notification: channels.Notification, delivered: Callable[[], None]) -> None:
        """Unless one is on its way to the channel, or a try has failed just now."""
        services, name = self._services, channel.name
        now = asyncio.get_running_loop().time()
        if name in self._sending or now < self._retry_at.get(name, now):
            return
        self._sending.add(name)

        def failed(why: str) -> None:
            self._sending.discard(name)
            number = self._failures.get(name, 0)
            wait_s = _WAITS_S[min(number, len(_WAITS_S) - 1)]
            self._failures[name] = number + 1
            self._retry_at[name] = asyncio.get_running_loop().time() + wait_s
            services.metrics.notifications.labels(channel.kind, "failed").inc()
            if self._troubles.get(name) != why:
                log.error("a message is not delivered", gateway="/".join(self._key), channel=name, why=why)
            self._troubles[name] = why

        async def deliver() -> None:
            try:
                await channels.send(services.channels, services.channels_dir, channel, notification, services.wall())
            except (TryLater, channels.Misconfigured) as problem:
                failed(str(problem))
                return
            self._sending.discard(name)
            self._failures.pop(name, None)
            self._retry_at.pop(name, None)
            self._troubles.pop(name, None)
            services.metrics.notifications.labels(channel.kind, "delivered").inc()
            delivered()

        services.jobs.submit(f"message to {name}", deliver, failed)
