"""`ib-mcp token new | list | revoke`: a token of its own for each agent, here or in a cluster's Secret."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from ib_mcp.auth import tokens
from ib_mcp.auth.granted import Grant
from ib_mcp.auth.scopes import SCOPES, parse_scopes
from ib_mcp.auth.tokens import Token
from ib_mcp.cli.console import say
from ib_mcp.cli.table import table
from ib_mcp.cli.token.keepers import Folder, Keeper, NotKept, Secret

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def run(given: argparse.Namespace) -> int:
    """0 done; 1 when the tokens cannot be reached; 2 for a wrong argument."""
    keeper: Keeper = Secret.named(given.secret) if given.secret else Folder.default()
    try:
        match given.action:
            case "new":
                return _new(keeper, given)
            case "revoke":
                return _revoke(keeper, given.name)
        return _list(keeper)
    except NotKept as problem:
        say(str(problem))
        return 1
    except ValueError as problem:
        say(str(problem))
        return 2


def _new(keeper: Keeper, given: argparse.Namespace) -> int:
    if not tokens.NAME.fullmatch(given.name):
        raise ValueError("A name has small letters, digits, dots and dashes, 40 at most: laptop, claude-code.")
    if given.name in keeper.lines():
        raise ValueError(f"There is a token {given.name} already: revoke it first, or choose another name.")
    shown = secrets.token_urlsafe(32)
    grant = Grant(given.name, parse_scopes(given.scope), accounts(given.account), is_own_name=True)
    keeper.keep(given.name, tokens.written(Token(tokens.digest_of(shown), grant, end(given.expires, time.time()))))
    sys.stdout.write(shown + "\n")
    say(f"This is the only time that the token is shown. It counts {keeper.delay}.")
    return 0


def _revoke(keeper: Keeper, name: str) -> int:
    if name not in keeper.lines():
        raise ValueError(f"There is no token {name[:40]!r}: see 'ib-mcp token list'.")
    keeper.remove(name)
    say(f"{name} is revoked; that counts {keeper.delay}.")
    return 0


def _list(keeper: Keeper) -> int:
    rows: list[tuple[str, str, str, str]] = []
    for name, lines in sorted(keeper.lines().items()):
        try:
            rows += [_row(token) for token in tokens.parse(lines, name).values()]
        except ValueError as problem:
            rows.append((name, f"cannot be used: it {problem}", "", ""))
    sys.stdout.write(table(("NAME", "SCOPES", "ACCOUNTS", "EXPIRES"), rows))
    return 0


def _row(token: Token) -> tuple[str, str, str, str]:
    grant = token.grant
    ends = "never" if token.expires_at is None else f"{datetime.fromtimestamp(token.expires_at, UTC):%Y-%m-%d %H:%MZ}"
    if not token.is_valid(time.time()):
        ends += " (over)"
    listed = [scope.removeprefix("ibkr:") for scope in SCOPES if scope in grant.scopes]
    return grant.name, ",".join(listed), ",".join(sorted(grant.accounts or ())) or "all", ends


def accounts(given: Iterable[str] | None) -> frozenset[str] | None:
    found = [one for words in given or () for one in words.replace(",", " ").split()]
    if wrong := [one for one in found if not tokens.ACCOUNT.fullmatch(one)]:
        raise ValueError(f"{wrong[0][:40]!r} is no id of an account: use ids such as U1234567.")
    return frozenset(found) or None


def end(given: str | None, now: float) -> int | None:
    """Seconds of Unix time when ``90d``, ``12h``, ``8w``, ``1y`` from ``now`` or a date is over."""
    if given is None:
        return None
    if given[:-1].isdecimal() and given[-1:] in _UNITS:
        ends = int(now) + int(given[:-1]) * _UNITS[given[-1]]
    else:
        try:
            time_given = datetime.fromisoformat(given)
        except ValueError:
            raise ValueError(f"--expires {given[:40]}: write 90d, 12h, 8w, 1y or a date such as 2027-01-31.") from None
        ends = int((time_given if time_given.tzinfo else time_given.replace(tzinfo=UTC)).timestamp())
    if not now < ends < now + 100 * _UNITS["y"]:
        raise ValueError(f"--expires {given[:40]}: that is not within the next hundred years.")
    return ends
