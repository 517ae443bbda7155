"""The data port: IBKR's Web API behind a token, an allow-list, one pacing queue and shared answers."""

from ib_keepalive.guard.app import Guard

__all__ = ["Guard"]
