"""The one queue in front of the gateway."""

from __future__ import annotations


class Pacer:
    def spend(self, operation: str) -> None:
        """Count a request that somebody else sends to the gateway now."""
