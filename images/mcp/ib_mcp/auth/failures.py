"""What keeps a token from being judged."""

from __future__ import annotations


class TokensUnavailable(Exception):
    """Whoever knows the token does not answer now. It may be good, and at a 401 agents would throw it away."""
