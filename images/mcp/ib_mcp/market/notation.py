"""How people and other programs name an instrument, read without asking anybody.

One text can be read in several ways (``VOD.L`` is a share class or London); ``parse`` gives them in the order in which
they are tried, and the first under which IBKR lists something is meant. docs/tools.md lists the spellings.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ib_mcp.market import derivative_notation, exchanges
from ib_mcp.market.contract import MONTHS
from ib_mcp.market.naming import COINS, INDICES
from ib_mcp.market.wanted import CURRENCIES, Conid, Identifier, Index, Number, Pair, Stock, Wanted, Words
from ibkr.errors import InvalidRequest

EXAMPLES = "AAPL, SHEL@LSE, ES 202612, EUR.USD, AAPL 20261218 C 200, conid"

_ALL_COINS = COINS | frozenset(("SOL", "ADA", "AVAX", "LINK", "SUI", "DOT", "UNI", "AAVE", "SHIB", "USDC", "PAXG"))
_INDEX_NAMES = {
    "GSPC": "SPX",
    "DJI": "INDU",
    "IXIC": "COMP",
    "GDAXI": "DAX",
    "STOXX50E": "ESTX50",
    "FCHI": "CAC40",
    "SSMI": "SMI",
    "FTSE": "UKX",
    "AXJO": "XJO",
    "GSPTSE": "TSX60",
}
# A stock's ticker of more digits is unknown to the markets where tickers are numbers.
_LONGEST_TICKER = 6
# What is longer is not remembered.
_USUAL = 100
_ROUTES = frozenset({"SMART", "OVERNIGHT", "IBEOS", "IDEALPRO", "PAXOS", "ZEROHASH"})

_EXCHANGE = r"(?:@(?P<exchange>[A-Z][A-Z0-9.]{1,15}))?"
_SYMBOL = r"(?P<symbol>[A-Z0-9][A-Z0-9.&+/-]{0,29}(?: [A-Z]{1,4})?)"
_BY_CONID = re.compile(r"(?:.* )?#(?P<conid>[0-9]{1,10})")
_NUMBER = re.compile(rf"(?P<digits>[0-9]{{1,10}}){_EXCHANGE}")
_PAIR = re.compile(rf"(?P<base>[A-Z]{{3,5}}?)[./ -]?(?P<quote>[A-Z]{{3}})(?:=X)?{_EXCHANGE}")
_PREFIXED = re.compile(r"(?P<place>[A-Z][A-Z0-9]{1,15}):(?P<rest>.+)")
_INDEX = re.compile(r"\^(?P<symbol>[A-Z0-9]{1,12})")
_STOCK = re.compile(rf"{_SYMBOL}{_EXCHANGE}")
_DOTTED = re.compile(r"(?P<symbol>[A-Z0-9][A-Z0-9&+/-]{0,19})\.(?P<suffix>[A-Z]{1,3})")
_TERMINAL = re.compile(r"(?P<symbol>[A-Z0-9][A-Z0-9.&+/-]{0,19}(?: [A-Z])?) (?P<suffix>[A-Z][A-Z0-9])(?: EQUITY)?")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_CUSIP = re.compile(r"[0-9A-Z]{3}[0-9A-Z]{5}[0-9]")
_WORDS = re.compile(r"[^\W\d_][^\W\d_ .,&'+/()-]+(?:[ .,&'+/()-]+[^\W\d_]*)*")


def parse(text: str) -> tuple[Wanted, ...]:
    """What ``text`` may name, in the order of trying; InvalidRequest when it has none of the forms."""
    words = " ".join(text.upper().replace("\u2019", "'").split())
    return _read(words) if len(words) <= _USUAL else _read.__wrapped__(words)


@lru_cache(maxsize=4096)
def _read(words: str) -> tuple[Wanted, ...]:
    if found := _BY_CONID.fullmatch(words):
        return (Conid(int(found["conid"])),)
    read = _marked(words) or _number(words) or _identifier(words) or _pair(words) or derivative_notation.read(words)
    read = read or _stock(words)
    if not read and len(words) <= 60 and _WORDS.fullmatch(words):
        read = (Words(words),)
    if not read:
        raise InvalidRequest(f"{words[:60]!r} names no instrument.", action=f"Write it like {EXAMPLES}.")
    return read


def _marked(words: str) -> tuple[Wanted, ...]:
    """``^VIX``, ``$SPX``, ``NASDAQ:AAPL``, ``FX:EURUSD``."""
    if found := _INDEX.fullmatch(words):
        return (Index(_INDEX_NAMES.get(found["symbol"], found["symbol"])),)
    if words.startswith("$"):
        return _stock(words[1:])
    found = _PREFIXED.fullmatch(words)
    if found is None:
        return ()
    place, rest = found["place"], found["rest"].strip()
    if place == "TSE" and rest.isdecimal():
        place = "TSEJ"
    if exchanges.is_known(place):
        plain = _STOCK.fullmatch(rest)
        return (Stock(rest, place),) if plain and not plain["exchange"] else ()
    return _pair(rest)


def _number(words: str) -> tuple[Wanted, ...]:
    found = _NUMBER.fullmatch(words)
    if found is None:
        return ()
    digits, exchange = found["digits"], found["exchange"]
    if exchange is not None:
        is_route = exchange in _ROUTES or exchanges.is_us(exchange)
        return (Conid(int(digits), exchange),) if is_route else (Number(digits, exchange),)
    if len(digits) == 9 and _is_cusip(digits):
        return (Identifier(digits),) if digits.startswith("0") else (Conid(int(digits)), Identifier(digits))
    return (Number(digits),) if len(digits) <= _LONGEST_TICKER else (Conid(int(digits)),)


def _identifier(words: str) -> tuple[Wanted, ...]:
    if _ISIN.fullmatch(words) and _is_isin(words):
        return (Identifier(words),)
    return (Stock(words), Identifier(words)) if _CUSIP.fullmatch(words) and _is_cusip(words) else ()


def _is_isin(code: str) -> bool:
    digits = "".join(str(int(letter, 36)) for letter in code)
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def _is_cusip(code: str) -> bool:
    values = (int(letter, 36) * (2 if place % 2 else 1) for place, letter in enumerate(code[:8]))
    return (10 - sum(value // 10 + value % 10 for value in values) % 10) % 10 == int(code[8])


def _pair(words: str) -> tuple[Wanted, ...]:
    found = _PAIR.fullmatch(words)
    if found is None or found["quote"] not in CURRENCIES or found["base"] == found["quote"]:
        return ()
    known = found["base"] in CURRENCIES or found["base"] in _ALL_COINS
    return (Pair(found["base"], found["quote"], found["exchange"]),) if known else ()


def _stock(words: str) -> tuple[Wanted, ...]:
    found = _STOCK.fullmatch(words)
    if found is None:
        return _terminal(words)
    symbol, exchange = found["symbol"], found["exchange"]
    if exchange is not None:
        return (Stock(symbol, exchange),)
    first: tuple[Wanted, ...] = (Stock(symbol),)
    if symbol in INDICES:
        first = (Index(symbol), *first)
    if symbol in COINS:
        first = (Pair(symbol, ""), *first)
    return (*first, *_dotted(words), *_terminal(words))


def _dotted(words: str) -> tuple[Wanted, ...]:
    """Yahoo's suffix. A share class of these letters is tried before."""
    found = _DOTTED.fullmatch(words)
    if found is None or found["suffix"] not in exchanges.YAHOO:
        return ()
    return (Stock(_ticker(found["symbol"]), exchanges.YAHOO[found["suffix"]]),)


def _terminal(words: str) -> tuple[Wanted, ...]:
    """Bloomberg's suffix."""
    found = _TERMINAL.fullmatch(words)
    if found is None or found["suffix"] not in exchanges.BLOOMBERG:
        return ()
    return (Stock(_ticker(found["symbol"]), exchanges.BLOOMBERG[found["suffix"]]),)


def _ticker(symbol: str) -> str:
    """IBKR writes 700 for Hong Kong's 0700."""
    return symbol.lstrip("0") if symbol.isdecimal() and len(symbol) <= 5 else symbol


def month_code(expiry: str) -> str:
    """IBKR's name of the month of ``expiry`` (YYYYMM or YYYYMMDD), e.g. ``DEC26``."""
    month = int(expiry[4:6])
    if not 1 <= month <= 12:
        raise InvalidRequest(
            f"There is no month {expiry[4:6]} in {expiry!r}.", action="Write it as YYYYMM or YYYYMMDD."
        )
    return f"{MONTHS[month - 1]}{expiry[2:4]}"


def month_of(code: str) -> str:
    """``DEC26`` as ``202612``; ValueError when it is no month."""
    return f"20{code[3:]}{MONTHS.index(code[:3]) + 1:02}"
