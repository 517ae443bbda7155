"""The instrument tables that ship with the simulator."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files

from ib_simulator.world.contract import Contract


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return iter(list(csv.DictReader(text.splitlines())))


@cache
def _identifiers() -> dict[str, tuple[str, str]]:
    """ISIN and CUSIP by conid."""
    return {row["conid"]: (row["isin"], row["cusip"]) for row in _rows("identifiers.csv")}


def _magnifier(kind: str, exchange: str, currency: str) -> int:
    """100 where prices are in pence or cents."""
    return 100 if (kind, exchange, currency) in _IN_HUNDREDTHS else 1


_IN_HUNDREDTHS = frozenset({("STK", "LSE", "GBP"), ("STK", "JSE", "ZAR")})
_UNDERLYING_OF_CFD = {750000021: 265598, 750000022: 416904}


@cache
def listed() -> tuple[Contract, ...]:
    return tuple(
        Contract(
            conid=int(row["conid"]),
            symbol=row["symbol"],
            kind=row["kind"],
            exchange=row["exchange"],
            currency=row["currency"],
            name=row["name"],
            price=float(row["price"]),
            volatility=float(row["volatility"]),
            feed=row["feed"],
            sector=row["sector"],
            group=row["group"],
            path=int(row["follows"] or row["conid"]),
            tick=_tick(row),
            magnifier=_magnifier(row["kind"], row["exchange"], row["currency"]),
            underlying=_UNDERLYING_OF_CFD.get(int(row["conid"]), 0),
            isin=_identifiers().get(row["conid"], ("", ""))[0],
            cusip=_identifiers().get(row["conid"], ("", ""))[1],
            strike_step=float(row["strikes"] or 0),
            trading_class="NMS" if row["exchange"] == "NASDAQ" and row["kind"] == "STK" else row["symbol"],
        )
        for row in _rows("instruments.csv")
    )


@cache
def bonds() -> tuple[Contract, ...]:
    return tuple(
        Contract(
            conid=int(row["conid"]),
            symbol=row["symbol"],
            kind=row["kind"],
            exchange="SMART",
            currency="USD",
            name=row["issuer"],
            price=float(row["price"]),
            volatility=0.05 if row["kind"] == "BOND" else 0.004,
            feed="D",
            sector="Government" if row["symbol"] == "US-T" else "Corporate",
            group="Fixed Income",
            path=int(row["conid"]),
            tick=0.001,
            multiplier=10.0,
            expiry=date.fromisoformat(row["maturity"]),
            trading_class=row["symbol"],
            coupon=float(row["coupon"]),
            issuer_id=row["issuer_id"],
            rating=row["rating"],
            isin=_identifiers().get(row["conid"], ("", ""))[0],
            cusip=_identifiers().get(row["conid"], ("", ""))[1],
        )
        for row in _rows("bonds.csv")
    )


@cache
def warrants() -> tuple[Contract, ...]:
    """Warrants and issuer options; symbol, currency and path are those of what they are on."""
    underlyings = {contract.conid: contract for contract in listed()}
    return tuple(
        replace(
            underlyings[int(row["underlying"])],
            conid=int(row["conid"]),
            kind=row["kind"],
            exchange=row["exchange"],
            name=f"{row['issuer']} on {row['symbol']}",
            feed="D",
            tick=0.001,
            strike_step=0.0,
            multiplier=float(row["multiplier"]),
            underlying=int(row["underlying"]),
            strike=float(row["strike"]),
            right=row["right"],
            expiry=date.fromisoformat(row["expiry"]),
            trading_class=row["symbol"],
            isin="",
            cusip="",
        )
        for row in _rows("warrants.csv")
    )


def _tick(row: dict[str, str]) -> float:
    kind, price = row["kind"], float(row["price"])
    if kind == "CASH":
        return 0.00005 if price < 20 else 0.005
    if kind == "CRYPTO":
        return 0.25
    if _magnifier(kind, row["exchange"], row["currency"]) > 1:
        return 0.005 if price >= 1 else 0.0001
    return 0.01 if price >= 1 else 0.0001
