"""`ib-mcp passphrase`: the hash of the owner's passphrase, so that the setting need not hold itself."""

from __future__ import annotations

import getpass
import sys

from ib_mcp.cli.console import say
from ib_mcp.oauth.passphrase import SHORTEST, hash_of


def run() -> int:
    """Reads it from standard input, or asks for it. 2 when it is too short or was not typed alike twice."""
    if sys.stdin.isatty():
        given = getpass.getpass("Passphrase: ")
        if given != getpass.getpass("Once more: "):
            say("These are not the same.")
            return 2
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if len(given) < SHORTEST:
        say(f"It has less than {SHORTEST} characters, and could be guessed.")
        return 2
    sys.stdout.write(hash_of(given) + "\n")
    return 0
