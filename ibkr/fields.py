"""Market-data fields by name and number: what a snapshot can be asked for.

Source: IBKR's field table and the lists of its client libraries (reference section 7.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from ibkr.errors import InvalidRequest

Kind = Literal["price", "money", "size", "percent", "ratio", "date", "text", "flag", "id"]
"""How a value is written: see ``ibkr.field_values``."""


@dataclass(frozen=True, slots=True)
class Field:
    """``number`` is the key in requests and answers, a string as IBKR sends it."""

    number: str
    name: str
    kind: Kind
    meaning: str


# number name kind meaning
_TABLE = """
31   last                         price    price of the last trade
55   symbol                       text     ticker symbol
58   text                         text     free text about the instrument
70   high                         price    highest price of the day
71   low                          price    lowest price of the day
73   position_market_value        money    present value of the own position
74   position_average_price       price    average price of the own position
75   unrealized_pnl               money    unrealized profit and loss of the own position
76   position                     size     size of the own position, formatted
77   unrealized_pnl_formatted     money    unrealized profit and loss of the own position, formatted
78   daily_pnl                    money    profit and loss of the own position since the prior close
79   realized_pnl                 money    realized profit and loss of the own position
80   unrealized_pnl_percent       percent  unrealized profit and loss of the own position in percent
82   change                       price    last price less the prior close
83   change_percent               percent  last price against the prior close
84   bid                          price    highest price that buyers offer
85   ask_size                     size     how much sellers offer at the ask; of US stocks possibly in lots of 100
86   ask                          price    lowest price that sellers want
87   volume                       size     volume of the day, shortened to K or M; volume_exact is precise
88   bid_size                     size     how much buyers want at the bid; of US stocks possibly in lots of 100
201  right                        text     right of an option: C for a call, P for a put
6004 exchange                     text     exchange of the quotes
6008 conid                        id       IBKR's number of the instrument
6070 security_type                text     class of the instrument: STK, OPT, FUT, CASH and so on
6072 months                       text     months in which derivatives expire
6073 regular_expiry               date     regular expiry of a derivative
6119 marker                       text     IBKR's mark of the delivery, like a request id
6457 underlying_conid             id       conid of the underlying
6508 service_parameters           text     parameters of IBKR's data service
6509 availability                 text     live, delayed or frozen quotes: see ibkr.field_values.availability
7051 company_name                 text     name of the company
7057 ask_exchanges                text     letters of the exchanges at the ask
7058 last_exchange                text     letter of the exchange of the last trade
7059 last_size                    size     size of the last trade
7068 bid_exchanges                text     letters of the exchanges at the bid
7084 implied_to_historical        percent  implied volatility over historical volatility
7085 put_call_interest            ratio    open interest of puts over that of calls
7086 put_call_volume              ratio    volume of puts over that of calls
7087 historical_volatility        percent  historical volatility of 30 days, with today
7088 historical_volatility_close  percent  historical volatility up to the prior close
7089 option_volume                size     volume of options on the instrument
7094 conid_exchange               text     conid and exchange in one
7184 can_be_traded                flag     whether the instrument can be traded at all
7219 description                  text     description of the contract
7220 description_alternative      text     description of the contract, second form
7221 listing_exchange             text     exchange where the instrument is listed
7280 industry                     text     industry of the company
7281 category                     text     narrower line of business within the industry
7282 average_volume               size     average daily volume of 90 days
7283 implied_volatility_underlying percent implied volatility of the underlying for 30 days, from its options
7284 historical_volatility_old    percent  historical volatility under its former number; deprecated
7285 put_call_ratio               ratio    puts over calls
7286 dividend                     money    amount of the next dividend per share
7287 dividend_yield               percent  dividends expected within a year against the price
7288 ex_dividend_date             date     first day without the next dividend
7289 market_cap                   money    market capitalisation
7290 price_to_earnings            ratio    price over earnings (P/E)
7291 earnings_per_share           money    earnings per share (EPS)
7292 cost_basis                   money    what the own position cost
7293 high_52_weeks                price    highest price of 52 weeks
7294 low_52_weeks                 price    lowest price of 52 weeks
7295 open                         price    first price of the day
7296 close                        price    closing price of the day
7308 delta                        ratio    change of the option's price per change of the underlying's
7309 gamma                        ratio    change of delta per change of the underlying's price
7310 theta                        ratio    change of the option's price per day that passes
7311 vega                         ratio    change of the option's price per point of volatility
7607 option_volume_change         percent  option volume of the day against its average
7633 implied_volatility           percent  implied volatility of this option, at its strike
7635 mark                         price    mark price: the last price kept between bid and ask
7636 shortable_shares             size     shares that can be borrowed for a short sale
7637 short_fee_rate               percent  yearly fee for borrowing the shares
7638 option_open_interest         size     open interest of the option
7639 percent_of_account           percent  own position against the value of the account
7644 shortability                 text     how hard a short sale is
7655 morningstar_rating           text     rating by Morningstar; needs a subscription
7671 dividends_next_year          money    dividends expected within twelve months, per share
7672 dividends_last_year          money    dividends of the last twelve months, per share
7674 ema_200                      price    exponential moving average of 200 days
7675 ema_100                      price    exponential moving average of 100 days
7676 ema_50                       price    exponential moving average of 50 days
7677 ema_20                       price    exponential moving average of 20 days
7678 price_to_ema_200             percent  price above (or below) ema_200
7679 price_to_ema_100             percent  price above (or below) ema_100
7681 price_to_ema_20              percent  price above (or below) ema_20
7682 change_since_open            price    last price less the first of the day
7683 upcoming_event               text     next event of the company; these eight need Wall Street Horizon
7684 upcoming_event_date          date     when the next event of the company is
7685 upcoming_analyst_meeting     text     when the next meeting with analysts is
7686 upcoming_earnings            text     when earnings come next
7687 upcoming_other_event         text     when the next other event of the company is
7688 recent_analyst_meeting       text     when the last meeting with analysts was
7689 recent_earnings              text     when earnings came last
7690 recent_other_event           text     when the last other event of the company was
7694 probability_of_max_return    percent  implied probability of the greatest possible profit
7695 break_even                   text     prices at which nothing is won or lost
7696 spx_delta                    ratio    delta weighted by beta against the S&P 500
7697 futures_open_interest        size     open interest of the future
7698 last_yield                   percent  yield of a bond at the last price
7699 bid_yield                    percent  yield of a bond at the bid
7700 probability_of_max_return_2  percent  the same probability under its second number
7702 probability_of_max_loss      percent  implied probability of the greatest possible loss
7703 probability_of_profit        percent  implied probability of ending with a profit
7704 organization_type            text     kind of issuer of a bond
7705 debt_class                   text     rank of a bond among the issuer's debts
7706 ratings                      text     ratings of a bond
7707 bond_state_code              text     state that issued a bond
7708 bond_type                    text     kind of bond
7714 last_trading_date            date     last day on which the instrument is traded
7715 issue_date                   date     day on which a bond was issued
7718 beta                         ratio    beta against the standard index
7720 ask_yield                    percent  yield of a bond at the ask
7724 price_to_ema_50              percent  price above (or below) ema_50
7741 prior_close                  price    closing price of the day before
7762 volume_exact                 size     volume of the day, all digits
7768 has_trading_permission       flag     whether the user may trade the instrument
7920 daily_pnl_raw                money    profit and loss of the own position since the prior close, all digits
7921 cost_basis_raw               money    what the own position cost, all digits
"""


def _field(line: str) -> Field:
    number, name, kind, meaning = line.split(maxsplit=3)
    return Field(number, name, cast(Kind, kind), meaning)


FIELDS = tuple(map(_field, _TABLE.strip().splitlines()))
BY_NAME = {field.name: field for field in FIELDS}
BY_NUMBER = {field.number: field for field in FIELDS}


# What people and other programs call them.
_ALIASES = {
    "price": ("last",),
    "last_price": ("last",),
    "open_price": ("open",),
    "previous_close": ("prior_close",),
    "prev_close": ("prior_close",),
    "change_pct": ("change_percent",),
    "percent_change": ("change_percent",),
    "day_high": ("high",),
    "day_low": ("low",),
    "name": ("company_name",),
    "sector": ("industry",),
    "pe": ("price_to_earnings",),
    "pe_ratio": ("price_to_earnings",),
    "p_e": ("price_to_earnings",),
    "eps": ("earnings_per_share",),
    "marketcap": ("market_cap",),
    "market_capitalization": ("market_cap",),
    "yield": ("dividend_yield",),
    "dividend_date": ("ex_dividend_date",),
    "ex_date": ("ex_dividend_date",),
    "earnings_date": ("upcoming_earnings",),
    "next_earnings": ("upcoming_earnings",),
    "week_52_high": ("high_52_weeks",),
    "week_52_low": ("low_52_weeks",),
    "high_52_week": ("high_52_weeks",),
    "low_52_week": ("low_52_weeks",),
    "52_week_high": ("high_52_weeks",),
    "52_week_low": ("low_52_weeks",),
    "fifty_two_week_high": ("high_52_weeks",),
    "fifty_two_week_low": ("low_52_weeks",),
    "avg_volume": ("average_volume",),
    "open_interest": ("option_open_interest", "futures_open_interest"),
    "iv": ("implied_volatility",),
    "implied_vol": ("implied_volatility",),
    "hv": ("historical_volatility",),
    "fee_rate": ("short_fee_rate",),
    "borrow_fee": ("short_fee_rate",),
    "shortable": ("shortability",),
    "sma_200": ("ema_200",),
    "sma_50": ("ema_50",),
    "moving_average_200": ("ema_200",),
    "moving_average_50": ("ema_50",),
    "rating": ("morningstar_rating",),
    "mid": ("bid", "ask"),
    "midpoint": ("bid", "ask"),
    "spread": ("bid", "ask"),
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """``fields`` in the order asked for, each once; ``unknown`` names with those that come near."""

    fields: tuple[Field, ...]
    unknown: dict[str, list[str]]


def look_up(asked: Iterable[str]) -> Lookup:
    """The fields of these names, numbers or usual other names; one unknown name spoils nothing."""
    found: dict[str, Field] = {}
    unknown: dict[str, list[str]] = {}
    for word in asked:
        name = word.strip().lower().replace(" ", "_").replace("-", "_")
        named = BY_NAME.get(name) or BY_NUMBER.get(word.strip())
        fields = [named] if named else [BY_NAME[each] for each in _ALIASES.get(name, ())]
        found |= {field.number: field for field in fields}
        if not fields:
            unknown[word[:40]] = near(name)
    return Lookup(tuple(found.values()), unknown)


def near(word: str, most: int = 3) -> list[str]:
    """Names of fields that look like ``word``, else those whose name or meaning has a part of it."""
    from difflib import get_close_matches

    known = [*BY_NAME, *_ALIASES]
    close = [_ALIASES.get(name, (name,))[0] for name in get_close_matches(word, known, n=most)]
    if close:
        return list(dict.fromkeys(close))
    parts = [part for part in word.lower().split("_") if len(part) > 2]
    about = [field.name for field in FIELDS if any(part in f"{field.name} {field.meaning}".lower() for part in parts)]
    return about[:most]


def search(words: str) -> list[Field]:
    """Fields whose name or meaning has one of the words, those with the most words first."""
    wanted = [word for word in words.lower().replace("_", " ").split() if word]
    ranked = {field: sum(word in f"{field.name} {field.meaning}".lower() for word in wanted) for field in FIELDS}
    return sorted((field for field, hits in ranked.items() if hits), key=lambda field: -ranked[field])


def find(asked: Iterable[str]) -> list[Field]:
    """The fields of these names or numbers, in this order and each once.

    Raises InvalidRequest that names every unknown one, with the names that come close.
    """
    found = look_up(asked)
    if found.unknown:
        named = (
            f"{word!r} (perhaps {' or '.join(close)})" if close else repr(word) for word, close in found.unknown.items()
        )
        raise InvalidRequest(f"Unknown market-data fields: {', '.join(named)}.")
    return list(found.fields)


def _hinted(unknown: tuple[str, list[str]]) -> str:
    word, close = unknown
    return f"{word!r} (perhaps {' or '.join(close)})" if close else repr(word)
