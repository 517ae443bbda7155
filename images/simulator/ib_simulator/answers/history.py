"""Price history as ``/iserver/marketdata/history`` gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ib_simulator.answers.quote import availability
from ib_simulator.answers.refusals import bad_request, conid_in, failed, known, required
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.bars import Bar, Window, history, is_allowed, parse_bar, parse_period
from ib_simulator.world.contract import Contract

_SOURCES = {"", "trades", "last", "midpoint", "bid_ask"}


def get_price_history(world: World, call: Call) -> Answer:
    contract = known(world, conid_in(call), 500, "Chart data unavailable")
    window = _window(call)
    if contract.feed == "N":
        raise failed(f"No market data permissions for {contract.exchange} {contract.kind}")
    if _is_gone(contract, window, call.now):
        raise failed("Chart data unavailable")
    bars = history(world.market, contract, window, world.market.seen_at(contract, call.now))
    return Answer(_body(contract, window, bars, call))


def _is_gone(contract: Contract, window: Window, now: float) -> bool:
    """Expired derivatives, and options by the day, have no history."""
    if not contract.is_derivative:
        return False
    return contract.expires_at < now or (bool(contract.right) and window.bar.unit in {"d", "w", "m"})


def _window(call: Call) -> Window:
    period = parse_period(call.query.get("period", "1w"))
    bar = parse_bar(required(call, "bar"))
    if period is None:
        raise bad_request("invalid period")
    if bar is None:
        raise bad_request("invalid bar value")
    if call.query.get("source", "").lower() not in _SOURCES:
        raise bad_request("invalid source")
    if call.query.get("direction", "-1") != "-1" or not is_allowed(period, bar):
        raise failed("Chart data unavailable")
    return Window(
        period, bar, _end(call.query.get("startTime", "")), call.query.get("outsideRth", "").lower() == "true"
    )


def _end(text: str) -> float | None:
    """``startTime`` is where the window ends, in UTC."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise bad_request("invalid startTime") from None


def volume_factor(contract: Contract) -> int:
    """Shares per unit of ``v``: it differs between instruments, as live."""
    return (100, 40)[contract.conid % 2] if contract.kind == "STK" else 1


def _body(contract: Contract, window: Window, bars: list[Bar], call: Call) -> dict[str, Any]:
    factor = volume_factor(contract)
    data: list[dict[str, Any]] = [
        {
            "o": contract.quoted(bar.prices.open),
            "c": contract.quoted(bar.prices.close),
            "h": contract.quoted(bar.prices.high),
            "l": contract.quoted(bar.prices.low),
            "v": round(bar.volume / factor, 2),
            "t": int(bar.start * 1000),
        }
        for bar in bars
    ]
    scale = 10**contract.quoted_decimals
    first = bars[0].start if bars else call.now
    return {
        "serverId": str(20_000 + contract.conid % 9000),
        "symbol": contract.symbol,
        "text": contract.name,
        "priceFactor": scale,
        "startTime": f"{datetime.fromtimestamp(first, UTC):%Y%m%d-%H:%M:%S}",
        "high": _extreme(bars, "high", scale * contract.magnifier, factor),
        "low": _extreme(bars, "low", scale * contract.magnifier, factor),
        "timePeriod": call.query.get("period", "1w"),
        "barLength": window.bar.seconds,
        "mdAvailability": _availability(contract, call.now),
        "mktDataDelay": 500 if contract.kind == "FUT" else 0,
        "outsideRth": window.extended,
        "volumeFactor": factor,
        "priceDisplayRule": 1,
        "priceDisplayValue": str(contract.quoted_decimals),
        "negativeCapable": False,
        "messageVersion": 2,
        "data": data or [{"o": 0, "c": 0, "h": 0, "l": 0, "v": 0}],
        "points": max(0, len(data) - 1),
        "travelTime": 48,
    }


def _availability(contract: Contract, now: float) -> str:
    """As field 6509 of a snapshot; for what is not traded there itself only an S, as in IBKR's examples.

    ``mktDataDelay`` is what the answer took in ms, and tells nothing of this.
    """
    if contract.kind in {"IND", "CASH"}:
        return "S"
    return availability(contract, is_open=contract.market.is_open(now, extended=True))


def _extreme(bars: list[Bar], name: str, scale: int, factor: int) -> str:
    """``price*priceFactor/volume/minutes since the first bar`` of the extreme bar."""
    if not bars:
        return "0/0/0"
    pick = max if name == "high" else min
    bar = pick(bars, key=lambda bar: getattr(bar.prices, name))
    minutes = round((bar.start - bars[0].start) / 60)
    return f"{round(getattr(bar.prices, name) * scale)}/{bar.volume / factor:g}/{minutes}"


ANSWERS = {"get_price_history": get_price_history}
