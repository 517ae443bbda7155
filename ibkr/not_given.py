"""What people ask of IBKR's Web API and it does not give, and where to look instead."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REPORTS = "the Activity Statement or a Flex query (Client Portal, Performance & Reports)"


@dataclass(frozen=True, slots=True)
class Gap:
    """``asked``: how people ask for it, as a pattern over lower-case words."""

    topic: str
    asked: re.Pattern[str]
    answer: str


def _gap(topic: str, asked: str, answer: str) -> Gap:
    return Gap(topic, re.compile(rf"\b(?:{asked})\b"), answer)


GAPS = (
    _gap(
        "news",
        r"news|headlines?|articles?|press releases?",
        "No news: TWS, IBKR Mobile and Client Portal show it. Notices of IBKR to the user are in get_notifications.",
    ),
    _gap(
        "calendar",
        r"(?:earnings?|economic|dividend|corporate|ipo) (?:calendars?|dates?|events?)|upcoming earnings",
        "No calendar: get_price_snapshot has upcoming_earnings and ex_dividend_date of single instruments, the former "
        "with a subscription to Wall Street Horizon; TWS has calendars.",
    ),
    _gap(
        "dividends",
        r"dividends?(?: income| received| history| paid)?",
        "No dividends of a whole account: get_account_transactions has those of one instrument (types dividend), "
        f"get_price_snapshot those expected (dividends_next_year); all of an account are in {_REPORTS}.",
    ),
    _gap(
        "interest",
        r"interest (?:paid|received|earned|charged|income|history|rates?)|margin (?:interest|rates?)|debit interest",
        f"No interest paid or received: get_account_balances has what is accrued; the rest is in {_REPORTS}, the rates "
        "on IBKR's website.",
    ),
    _gap(
        "deposits",
        r"deposits?|withdrawals?|(?:cash|wire|fund|bank) (?:transfers?|flows?|movements?)|contributions?",
        f"No deposits and withdrawals: they are in {_REPORTS}. get_account_performance estimates them from net asset "
        "value and return. Money can be moved in Client Portal only.",
    ),
    _gap(
        "tax lots",
        r"(?:tax|purchase|open) lots?|wash sales?|1099s?|tax (?:forms?|documents?|reports?)|capital gains?"
        r"|holding periods?",
        "No tax lots and tax forms: get_account_positions has the average price only; lots are in TWS (Tax Optimizer) "
        f"and in {_REPORTS}.",
    ),
    _gap(
        "older trades",
        r"(?:older|old|past|last (?:month|year)s?|monthly|yearly) (?:trades|executions|commissions|orders|fills)"
        r"|trade history|order history|commissions? (?:this|last|per|of the) \w+|commission reports?|fees paid",
        "Trades and commissions of seven days only: get_account_trades; older bookings of one instrument are in "
        f"get_account_transactions, everything in {_REPORTS}. Orders of earlier sessions are not given at all.",
    ),
    _gap(
        "statements",
        r"statements?|flex(?: quer(?:y|ies))?|activity reports?|trade confirmations?|pdf",
        f"No statements: they are {_REPORTS}. Flex queries are another service of IBKR, with a token of its own.",
    ),
    _gap(
        "funds",
        r"expense ratios?|(?:fund|etf) (?:facts?|holdings|composition|fees?|ratings?)|mutual funds?|constituents?"
        r"|holdings of (?:a|an|the) (?:fund|etf)|index (?:members|composition)",
        "No facts of funds and no members of an index: see the provider of the fund or index, or TWS.",
    ),
    _gap(
        "fundamentals",
        r"fundamentals?|balance sheets?|income statements?|cash flow statements?|financial (?:statements?|reports?)"
        r"|analysts? (?:ratings?|estimates?|recommendations?)|price targets?|insider",
        "No financial statements and no analysts: get_price_snapshot has market_cap, price_to_earnings, "
        "earnings_per_share and dividend_yield; TWS and Client Portal have the rest.",
    ),
    _gap(
        "past holdings",
        r"(?:past|historical|earlier|previous|yesterdays?) (?:positions?|holdings?|balances?|portfolios?)"
        r"|positions? (?:on|as of|at)",
        f"No positions or balances of a past day: they are in {_REPORTS}. get_account_performance has net asset value "
        "by day.",
    ),
    _gap(
        "depth",
        r"order books?|market depth|level (?:2|ii|two)|depth of market",
        "No order book by request: IBKR only streams it. get_price_snapshot has the best bid and ask with their sizes.",
    ),
    _gap(
        "expired options",
        r"expired (?:options?|contracts?)|historical (?:greeks|option chains?|implied)|option history",
        "No prices, chains and greeks of expired options; of live ones get_price_history has bars of 8h or less.",
    ),
    _gap(
        "settings of the account",
        r"market data subscriptions?|trading permissions?|account settings?|two factor|password|beneficiar(?:y|ies)",
        "No settings of the account: Client Portal, Settings.",
    ),
)


def about(text: str) -> list[Gap]:
    """The gaps that a question in words is about."""
    words = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
    return [gap for gap in GAPS if gap.asked.search(words)]
