"""What a token may be good for."""

from __future__ import annotations

READ, WRITE, TRADE = "ibkr:read", "ibkr:write", "ibkr:trade"
SCOPES = (READ, WRITE, TRADE)

# Reading, and opening the session that reading needs.
_READS = frozenset({"read", "session", "stream"})


def scope_of(effect: str) -> str:
    """The scope that an operation with this effect of the catalogue asks for."""
    if effect in _READS:
        return READ
    return WRITE if effect == "write" else TRADE


def parse_scopes(words: str) -> frozenset[str]:
    """``read,trade`` or ``ibkr:read``; reading always comes with it. ValueError for a word that is no scope."""
    found = {word if word.startswith("ibkr:") else f"ibkr:{word}" for word in words.replace(",", " ").split()}
    if unknown := sorted(found.difference(SCOPES)):
        raise ValueError(f"There is no scope {unknown[0][:40]!r}: use read, write, trade.")
    return frozenset(found | {READ})
