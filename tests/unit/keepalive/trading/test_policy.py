"""The trading policy file: what it says, read anew at every change, and off with a reason whenever it is not clear."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ib_keepalive.trading.policy import Policy, PolicyFile, parse

WHOLE = """
writes = true
mode = "live"
approval = "none"
questions = ["o163", "p6"]

[live]
accounts = ["U1234567"]
without_approval = true

[limits]
accounts = ["U1234567"]
symbols = ["aapl", "BRK B"]
security_types = ["STK", "opt"]
order_types = ["LMT"]
times_in_force = ["DAY"]
sides = ["BUY"]
short_selling = true
naked_options = true
quantity = 100
notional = 10000.5
notional_per_day = 50000
orders_per_minute = 10
orders_per_day = 100
price_distance_percent = 5
price_age_s = 30
"""


def test_every_key_is_read() -> None:
    policy = parse(WHOLE.encode())

    assert policy.problem is None
    assert (policy.mode, policy.approval, policy.questions) == ("live", "none", ("o163", "p6"))
    assert (policy.live.accounts, policy.live.without_approval) == (("U1234567",), True)
    assert policy.writes is True
    limits = policy.limits
    assert limits.symbols == ("AAPL", "BRK B")
    assert limits.security_types == ("STK", "OPT")
    assert (limits.quantity, limits.notional, limits.notional_per_day) == (100, 10000.5, 50000)
    assert (limits.short_selling, limits.naked_options) == (True, True)
    assert (limits.orders_per_minute, limits.orders_per_day, limits.price_age_s) == (10, 100, 30)


def test_trading_is_off_unless_the_file_says_more() -> None:
    assert parse(b"") == Policy(version=parse(b"").version)
    assert PolicyFile(None).current() == Policy()
    assert Policy().mode == "off"
    assert not Policy().limits.short_selling
    assert not Policy().limits.naked_options


BROKEN = {
    "no TOML": ('mode = "paper"\n[limits\n', "line 2"),
    "no UTF-8": ('mode = "paper"\n# \udcff\n', "line 2"),
    "an unknown mode": ('mode = "papper"', "line 1, mode"),
    "an unknown key": ('mode = "paper"\n[limits]\nqantity = 5\n', "line 3, limits.qantity"),
    "an unknown table": ('mode = "paper"\n\n[limit]\nquantity = 5\n', "line 3, limit:"),
    "the policy's own words": ('mode = "paper"\nproblem = "none"\n', "line 2, problem"),
    "a number in quotes": ('mode = "paper"\n[limits]\nquantity = "5"\n', "line 3, limits.quantity"),
    "a number that is none": ('mode = "paper"\n[limits]\nnotional = nan\n', "line 3, limits.notional"),
    "a number without an end": ('mode = "paper"\n[limits]\nnotional = inf\n', "line 3, limits.notional"),
    "a number beyond a double": ('mode = "paper"\n[limits]\nnotional = 1e400\n', "line 3, limits.notional"),
    "nothing at all": ('mode = "paper"\n[limits]\nquantity = 0\n', "line 3, limits.quantity"),
    "less than nothing": ('mode = "paper"\n[limits]\nnotional = -1\n', "line 3, limits.notional"),
    "half an order": ('mode = "paper"\n[limits]\norders_per_day = 1.5\n', "line 3, limits.orders_per_day"),
    "a switch as a number": ('mode = "paper"\n[limits]\nshort_selling = 1\n', "line 3, limits.short_selling"),
    "a switch as text": ('mode = "paper"\n[limits]\nnaked_options = "false"\n', "line 3, limits.naked_options"),
    "an empty list": ('mode = "paper"\n[limits]\nsymbols = []\n', "line 3, limits.symbols"),
    "a list as text": ('mode = "paper"\n[limits]\nsymbols = "AAPL"\n', "line 3, limits.symbols: has to be a list"),
    "no side": ('mode = "paper"\n[limits]\nsides = ["HOLD"]\n', "line 3, limits.sides"),
    "no account": ('mode = "paper"\n[limits]\naccounts = ["All"]\n', "line 3, limits.accounts"),
    "no question": ('mode = "paper"\nquestions = ["*"]\n', "line 2, questions"),
    "a dotted key": ('mode = "paper"\nlimits.qantity = 5\n', "limits.qantity"),
    "a value for a table": ('mode = "paper"\nlimits = 5\n', "line 2, limits"),
    "live without an account": ('mode = "live"\n', "accounts"),
    "live and nobody asked": (
        'mode = "live"\napproval = "none"\n[live]\naccounts = ["U1234567"]\n',
        "without_approval",
    ),
    "too much": ("#" * 70_000, "64 KiB"),
    "brackets without an end": ("a = " + "[" * 60_000, "nested"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_keeps_trading_off_and_says_where(name: str) -> None:
    text, where = BROKEN[name]

    policy = parse(text.encode("utf-8", "surrogateescape"))

    assert policy.mode == "off"
    assert policy.problem is not None
    assert where in policy.problem


def test_what_is_wrong_names_no_account() -> None:
    problem = parse(b'mode = "paper"\n[live]\naccounts = ["u7654321"]\n').problem

    assert problem is not None
    assert "line 3" in problem
    assert "7654321" not in problem


def test_a_change_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('mode = "paper"\n[limits]\nquantity = 1\n')
    before = path.stat()
    file = PolicyFile(path)
    first = file.current()

    # The same length and time: only the content differs.
    path.write_text('mode = "paper"\n[limits]\nquantity = 9\n')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (first.limits.quantity, file.current().limits.quantity) == (1, 9)
    assert first.version != file.current().version


def test_a_mounted_file_is_followed_through_its_links(tmp_path: Path) -> None:
    for number, mode in enumerate(("preview", "paper")):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "policy.toml").write_text(f'mode = "{mode}"\n')
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "policy.toml").symlink_to("..data/policy.toml")
    file = PolicyFile(tmp_path / "policy.toml")
    assert file.current().mode == "preview"

    (tmp_path / "new").symlink_to("..1")
    (tmp_path / "new").replace(tmp_path / "..data")

    assert file.current().mode == "paper"


def test_a_file_that_vanished_keeps_trading_off(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('mode = "paper"\n')
    file = PolicyFile(path)
    assert file.current().mode == "paper"

    path.unlink()
    assert file.current().mode == "off"
    assert "cannot be read" in (file.current().problem or "")

    path.write_text('mode = "paper"\n')
    assert file.current() == Policy(mode="paper", version=file.current().version)
