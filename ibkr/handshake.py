"""The brokerage login's handshake, as IBKR's gateway program does it: a challenge answered by SHA-1."""

from __future__ import annotations

import hashlib


def response_to(challenge: str, session_key: str) -> str:
    """The answer to ``challenge``: lower-case hex SHA-1 of both hex numbers' bytes (cp-gateway notes, 5.4).

    Each loses its leading zeros; the two together get one back when their length is odd.
    """
    digits = challenge.lstrip("0") + session_key.lstrip("0")
    return hashlib.sha1(bytes.fromhex("0" * (len(digits) % 2) + digits)).hexdigest()


def answers(given: object, challenge: str, session_key: str) -> bool:
    """Whether ``given`` answers the challenge; leading zeros of the digest may be missing."""
    return isinstance(given, str) and given.lstrip("0") == response_to(challenge, session_key).lstrip("0")
