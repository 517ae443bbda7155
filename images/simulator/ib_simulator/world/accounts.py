"""Who is signed in: the users and their accounts.

The paper user has one account, so an agent can leave the account out. The live user has two, of different kinds and
base currencies, so that leaving it out is ambiguous. The odd user is an adviser with all that misleads a reader: an
alias, two accounts of one display name, a group, a model. All names and numbers are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["paper", "live"]
UserKey = Literal["paper", "live", "odd"]
Portfolio = Literal["everything", "some", "few", "odd"]


@dataclass(frozen=True, slots=True)
class Account:
    """``cash`` holds balances by currency; ``portfolio`` names what it holds (``world.holdings``)."""

    id: str
    title: str
    alias: str
    type: str
    currency: str
    trading_type: str
    cash: dict[str, float]
    is_paper: bool
    portfolio: Portfolio


ACCOUNTS: dict[UserKey, tuple[Account, ...]] = {
    "paper": (
        Account(
            "DU7420001",
            "Robin Example",
            "",
            "DEMO",
            "USD",
            "STKNOPT",
            {"USD": 412_345.67, "EUR": 58_210.4, "GBP": -12_400.25},
            is_paper=True,
            portfolio="everything",
        ),
    ),
    "live": (
        Account(
            "U7420002",
            "Robin Example",
            "Main",
            "INDIVIDUAL",
            "USD",
            "STKNOPT",
            {"USD": 84_120.55, "EUR": 15_300.0, "CHF": 9_870.35},
            is_paper=False,
            portfolio="some",
        ),
        Account(
            "U7420003",
            "Robin Example",
            "Savings",
            "INDIVIDUAL",
            "EUR",
            "STKCASH",
            {"EUR": 22_640.8, "USD": 4_980.1, "GBP": 3_150.0},
            is_paper=False,
            portfolio="few",
        ),
    ),
    "odd": (
        Account(
            "U7430001",
            "Jane Doe",
            "AccountAlias",
            "INDIVIDUAL",
            "USD",
            "STKNOPT",
            {"USD": 263_410.12, "JPY": 1_250_000.0, "GBP": -8_140.6, "HKD": 22_000.0, "AUD": 3_412.9, "ZAR": -41_000.0},
            is_paper=False,
            portfolio="odd",
        ),
        Account(
            "U7430002",
            "Jane Doe",
            "",
            "INDIVIDUAL",
            "EUR",
            "STKNOPT",
            {"EUR": 41_200.0, "USD": 2_300.5},
            is_paper=False,
            portfolio="some",
        ),
        Account(
            "U7430003",
            "Jane Doe",
            "",
            "INDIVIDUAL",
            "GBP",
            "STKCASH",
            {"GBP": 9_870.4},
            is_paper=False,
            portfolio="few",
        ),
    ),
}

GROUPS: dict[UserKey, dict[str, tuple[str, ...]]] = {"odd": {"Income": ("U7430001", "U7430002")}}
"""An adviser's groups and their accounts; orders and trades may name a group in place of an account."""

USER_NAMES: dict[UserKey, str] = {"paper": "robin-paper", "live": "robin-live", "odd": "robin-odd"}
