"""What answers call an instrument, so that whoever gives the name back to any tool means the same instrument.

A share of the United States goes by its ticker, any other by ticker and exchange (``SHEL@LSE``, ``4391@TSEJ``), an
index by its exchange unless it is a well-known one, a future by its contract month (``CL 202612``; by its day of
expiry where IBKR does not tell the month), an option by its underlying (``SAP@IBIS 20261218 C 200``), one on a future
by a slash (``/CL 20261117 P 75``), both with trading class and multiplier where these are not the usual ones. Whatever
has no such name (bonds, CFDs, funds, warrants, what has expired) is called by IBKR's text and its conid:
``AAPL CFD #118089500``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ib_mcp.formats.numbers import plain
from ib_mcp.market import exchanges
from ib_mcp.market.contract import Contract

INDICES = frozenset(
    re.findall(
        r"\S+",
        """
        SPX NDX RUT VIX VXN RVX DJX INDU COMP OEX XEO XSP XND MID SOX DAX MDAX TECDAX ESTX50 CAC40 SMI AEX IBEX
        IBEX35 OMXS30 FTSEMIB UKX N225 TOPX HSI HHI.HK K200 XJO NIFTY50 TSX60
        """,
    )
)
"""Symbols that mean the index, whatever share has the same letters."""

COINS = frozenset({"BTC", "ETH", "LTC", "BCH", "XRP", "DOGE"})
"""Symbols that mean the coin, whatever share has the same letters."""

_USUAL_MULTIPLIER = 100


def named(contract: Contract, underlying: Contract | None) -> Contract:
    """``contract`` with its name; ``underlying`` is the one of an option, None where it is not known."""
    return replace(contract, symbol=_name(contract, underlying))


def _name(contract: Contract, underlying: Contract | None) -> str:
    root, exchange = contract.root, contract.exchange
    match contract.kind:
        case "STK" if root and exchanges.is_us(exchange) and root not in INDICES | COINS:
            return root
        case "IND" if root in INDICES:
            return root
        case "STK" | "IND" if root and exchange:
            return f"{root}@{exchange}"
        case "CASH" if root and contract.currency:
            return f"{root}.{contract.currency}"
        case "CRYPTO" if root and contract.currency:
            return f"{root}.{contract.currency}@{exchange}" if exchange else f"{root}.{contract.currency}"
        case "FUT" if root and contract.expiry:
            return f"{root} {contract.month or contract.expiry}"
        case "OPT" if underlying is not None and "#" not in underlying.symbol and _is_complete(contract):
            if exchange != "FORECASTX":
                return _option(underlying.symbol, contract)
        case "FOP" if root and _is_complete(contract):
            return _option(f"/{root}", contract)
    return by_conid(contract)


def _is_complete(contract: Contract) -> bool:
    return bool(contract.expiry and contract.right and contract.strike)


def _option(underlying: str, contract: Contract) -> str:
    told = [underlying, contract.expiry, contract.right, str(plain(contract.strike))]
    if contract.trading_class and contract.trading_class != contract.root:
        told.append(contract.trading_class)
    if contract.kind == "OPT" and contract.multiplier not in (None, _USUAL_MULTIPLIER):
        told.append(f"x{plain(contract.multiplier)}")
    return " ".join(told)


def by_conid(contract: Contract) -> str:
    """IBKR's text with class and conid, which every tool takes."""
    words = contract.text or contract.name or contract.root
    if contract.kind == "BOND" or contract.kind in words.split():
        kind = ""
    else:
        words, kind = (contract.root or words) if contract.kind == "CFD" else words, contract.kind
    return " ".join(part for part in (words, kind, f"#{contract.conid}") if part)


def distinct(contracts: Iterable[Contract], taken: str = "") -> list[Contract]:
    """The same with names that tell them apart: by trading class, multiplier and exchange, at last by conid.

    ``taken`` is a name that is known to mean several, so that none of them may have it.
    """
    taken = " ".join(taken.upper().split())
    found = [
        replace(contract, symbol=_finer(contract)) if contract.symbol == taken else contract for contract in contracts
    ]
    for finer in (_finer, lambda contract: f"{contract.symbol.split(' #')[0]} #{contract.conid}"):
        names = Counter(contract.symbol for contract in {contract.conid: contract for contract in found}.values())
        found = [
            replace(contract, symbol=finer(contract)) if names[contract.symbol] > 1 else contract for contract in found
        ]
    return found


def _finer(contract: Contract) -> str:
    told = contract.symbol.split(" ")
    if contract.kind == "FUT" and contract.exchange and "@" not in told[0]:
        told[0] = f"{told[0]}@{contract.exchange}"
    if contract.kind in ("OPT", "FOP") and contract.trading_class and contract.trading_class not in told[4:]:
        told.insert(4, contract.trading_class)
    if contract.kind in ("FUT", "OPT", "FOP") and contract.multiplier is not None and not told[-1].startswith("x"):
        told.append(f"x{plain(contract.multiplier)}")
    return " ".join(told)


def underlyings(contracts: Iterable[Contract]) -> set[int]:
    """Conids that have to be described before these can be named."""
    return {contract.underlying for contract in contracts if contract.kind == "OPT" and contract.underlying}


def all_named(contracts: Mapping[int, Contract], underlying: Mapping[int, Contract]) -> dict[int, Contract]:
    return {conid: named(contract, underlying.get(contract.underlying)) for conid, contract in contracts.items()}
