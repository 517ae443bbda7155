"""Which of the instruments at hand (positions, orders, trades) are meant by what an agent wrote; nobody is asked."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ib_mcp.formats.numbers import decimal
from ib_mcp.market import exchanges
from ib_mcp.market.contract import Contract
from ib_mcp.market.notation import parse
from ib_mcp.market.wanted import (
    Bond,
    Cfd,
    Conid,
    Future,
    Identifier,
    Index,
    Number,
    Option,
    Pair,
    Stock,
    Wanted,
    Words,
)

_CLASS_MARKS = str.maketrans(".-/", "   ")


def fits(text: str, contract: Contract) -> bool:
    """Whether ``text`` may mean ``contract``: a bare ticker everything on that name, an exchange or conid just one.

    InvalidRequest when ``text`` has none of the forms of an instrument.
    """
    readings = parse(text)
    if contract.symbol.casefold() == " ".join(text.split()).casefold():
        return True
    return any(_fits(want, contract) for want in readings)


def _fits(want: Wanted, contract: Contract) -> bool:
    match want:
        case Conid():
            return contract.conid == want.conid
        case Number():
            is_ticker = contract.root in (want.digits, want.digits.lstrip("0"))
            if want.exchange is not None:
                return is_ticker and exchanges.is_at(contract.exchange, want.exchange)
            return is_ticker or str(contract.conid) == want.digits
        case Stock(exchange=None):
            return _ticker(contract.root) == _ticker(want.symbol)
        case Stock():
            is_ticker = contract.kind in ("STK", "IND", "") and _ticker(contract.root) == _ticker(want.symbol)
            return is_ticker and exchanges.is_at(contract.exchange, str(want.exchange))
        case Index():
            return contract.kind == "IND" and contract.root == want.symbol
        case Pair():
            if not want.quote:
                return contract.root == want.base
            return contract.kind in ("CASH", "CRYPTO") and (contract.root, contract.currency) == (want.base, want.quote)
        case Future():
            return _is_future(want, contract)
        case Option():
            return _is_option(want, contract)
        case Bond():
            has_coupon = any(decimal(word.rstrip("%")) == want.coupon for word in contract.text.split())
            return contract.kind == "BOND" and contract.expiry == want.maturity and has_coupon
        case Cfd():
            is_cfd = contract.kind == "CFD" and _ticker(contract.root) == _ticker(want.symbol)
            return is_cfd and want.currency in (None, contract.currency)
        case Words():
            return want.text in contract.name.upper()
        case Identifier():
            return False


def _ticker(symbol: str) -> str:
    return symbol.translate(_CLASS_MARKS)


def _is_future(want: Future, contract: Contract) -> bool:
    if contract.kind != "FUT" or contract.root != want.symbol:
        return False
    if want.multiplier is not None and contract.multiplier != want.multiplier:
        return False
    dated = contract.expiry if len(want.expiry) == 8 else contract.month or contract.expiry[:6]
    return not want.expiry or fnmatchcase(dated, want.expiry)


def _is_option(want: Option, contract: Contract) -> bool:
    if not contract.is_option or contract.root != want.symbol or (want.on_future and contract.kind != "FOP"):
        return False
    if want.exchange is not None and contract.kind == "OPT" and f"{want.symbol}@{want.exchange}" not in contract.symbol:
        return False
    if want.trading_class and contract.trading_class not in ("", want.trading_class):
        return False
    if want.multiplier is not None and contract.multiplier not in (None, want.multiplier):
        return False
    terms = (contract.right, contract.strike) == (want.right, want.strike)
    return terms and contract.expiry.startswith(want.expiry)
