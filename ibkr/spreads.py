"""The conids under which IBKR trades combinations, one for each currency (its documentation of spread orders)."""

from __future__ import annotations

SPREADS = {
    "28812380": "USD",
    "58666491": "GBP",
    "61227087": "CHF",
    "61227082": "CAD",
    "61227077": "AUD",
    "61227072": "HKD",
    "61227069": "JPY",
    "136000429": "SEK",
    "136000424": "KRW",
    "136000441": "CNH",
    "136000444": "INR",
    "136000449": "MXN",
    "426116555": "SGD",
}
