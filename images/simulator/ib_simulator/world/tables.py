"""The instrument tables that ship with the simulator."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib.resources import files

from ib_simulator.world.contract import Contract


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return iter(list(csv.DictReader(text.splitlines())))


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
            tick=_tick(row["kind"], float(row["price"])),
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
            kind="BOND",
            exchange="SMART",
            currency="USD",
            name=row["issuer"],
            price=float(row["price"]),
            volatility=0.05,
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
        )
        for row in _rows("bonds.csv")
    )


def _tick(kind: str, price: float) -> float:
    if kind == "CASH":
        return 0.00005 if price < 20 else 0.005
    if kind == "CRYPTO":
        return 0.25
    return 0.01 if price >= 1 else 0.0001
