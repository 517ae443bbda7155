"""The trading policy that `ib-mcp up --trading` makes for its owner, and what it keeps of one the owner edited."""

from __future__ import annotations

import re
from pathlib import Path

POLICY = "policy.toml"
_MODE = re.compile(r'^mode[ \t]*=[ \t]*"[a-z]*"', re.MULTILINE)
_TEXT = """\
# What agents may trade here. Read again whenever it changes; docs/trading.md explains every key.
# A file that is not understood keeps trading off: `ib-mcp trading status` says where it is wrong.

mode = "{mode}"      # off | preview | paper | live
approval = "ask"      # ask: a person is asked by the agent's client, or on the approval page; page; none

# IBKR's questions that are answered yes: no market data, market and stop orders, amounts of money, coins. All others
# are declined and shown.
questions = ["o354", "o10151", "o10152", "o10331", "o10164", "o10223", "o10288"]

# mode = "live" trades only in accounts that are named here.
# [live]
# accounts = ["U1234567"]

[limits]
# symbols = ["AAPL", "EUR.USD"]
# security_types = ["STK"]
# sides = ["BUY", "SELL"]
short_selling = false
naked_options = false
quantity = 1000                 # units of one order
notional = 25000                # of one order, in the base currency of the account
notional_per_day = 100000       # in the last 24 hours
orders_per_minute = 10
orders_per_day = 200
price_distance_percent = 10     # of a limit from the market
price_age_s = 60                # of the oldest price by which an order is reckoned; delayed prices are 900 s old
"""


def prepare(folder: Path, mode: str, *, is_new_account: bool) -> Path:
    """The policy file in ``folder``, made or with ``mode`` put into it. OSError when it cannot be written.

    ``is_new_account``: IBKR's side knows nothing of earlier orders, so that the ledger forgets them too.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if is_new_account:
        for old in folder.glob("orders.sqlite3*"):
            old.unlink()
    path = folder / POLICY
    if not path.exists():
        path.write_text(_TEXT.format(mode=mode), "utf-8")
    else:
        text = path.read_text("utf-8")
        first, count = _MODE.subn(f'mode = "{mode}"', text, count=1)
        changed = first if count else f'mode = "{mode}"\n{text}'
        if changed != text:
            path.write_text(changed, "utf-8")
    return path
