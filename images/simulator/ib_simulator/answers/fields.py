"""The values of market-data fields: one small function per field id, all of them text as IBKR sends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ib_simulator.answers.quote import Quote
from ib_simulator.world import dividends
from ib_simulator.world.market import today
from ib_simulator.world.valuation import Valued


def short(number: float) -> str:
    """1234567 as 1.23M, 12345 as 12.3K."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "K")):
        if abs(number) >= size:
            return f"{number / (size if letter != 'K' else 1e3):.3g}{letter}"
    return f"{number:,.0f}"


def _last(quote: Quote) -> str:
    if quote.contract.feed == "H":
        return f"H{quote.money(quote.prior)}"
    return quote.money(quote.last) if quote.is_open else f"C{quote.money(quote.last)}"


def _range(place: int) -> Callable[[Quote], str | None]:
    return lambda quote: None if quote.day is None else quote.money(quote.day[place])


def _change(quote: Quote) -> float:
    return quote.last - quote.prior


def _percent(quote: Quote) -> str | None:
    return f"{_change(quote) / quote.prior * 100:.2f}%" if quote.prior else None


def _size(side: str) -> Callable[[Quote], str | None]:
    def size(quote: Quote) -> str | None:
        if quote.contract.kind == "IND" or quote.contract.feed == "H":
            return None
        return f"{quote.world.market.size(quote.contract, side, quote.now):,.0f}"

    return size


def _side(place: int) -> Callable[[Quote], str | None]:
    def side(quote: Quote) -> str | None:
        if quote.contract.kind == "IND" or quote.contract.feed == "H" or not quote.is_open:
            return None
        return quote.money(quote.sides[place])

    return side


def _greek(name: str) -> Callable[[Quote], str | None]:
    def greek(quote: Quote) -> str | None:
        return None if quote.greeks is None else f"{getattr(quote.greeks, name):.3f}"

    return greek


def _stock(text: Callable[[Quote], str]) -> Callable[[Quote], str | None]:
    return lambda quote: text(quote) if quote.contract.kind == "STK" else None


def _traded(text: Callable[[Quote], str]) -> Callable[[Quote], str | None]:
    return lambda quote: text(quote) if quote.volume or quote.contract.kind in {"STK", "OPT", "FUT", "FOP"} else None


def _year(place: int) -> Callable[[Quote], str | None]:
    def extreme(quote: Quote) -> str | None:
        if quote.contract.is_derivative:
            return None
        figures = quote.world.market.year_range(quote.contract, quote.trading_day.number)
        return quote.money(quote.contract.rounded(figures[place]))

    return extreme


def _average(days: int) -> Callable[[Quote], str | None]:
    def average(quote: Quote) -> str | None:
        if quote.contract.is_derivative:
            return None
        figure = quote.world.market.average(quote.contract, quote.trading_day.number, days)
        return quote.money(quote.contract.rounded(figure))

    return average


def _yield(quote: Quote) -> str | None:
    """The current yield of a bond plus its pull to par, a usable approximation of yield to maturity."""
    contract = quote.contract
    if not contract.is_debt or contract.expiry is None:
        return None
    years = max(0.1, (contract.expiry - today(quote.now)).days / 365)
    return f"{(contract.coupon + (100 - quote.last) / years) / ((100 + quote.last) / 2) * 100:.3f}%"


def _held(text: Callable[[Quote, Valued], str]) -> Callable[[Quote], str | None]:
    """A field about the user's own position."""
    return lambda quote: None if quote.held is None else text(quote, quote.held)


def _gain_percent(quote: Quote, held: Valued) -> str:
    return f"{held.unrealized / abs(held.paid) * 100:.2f}%" if held.paid else "0.00%"


def _share(quote: Quote, held: Valued) -> str:
    whole = quote.portfolio.market_value
    return f"{held.value * held.rate / whole * 100:.2f}%" if whole else "0.00%"


def _issue_date(quote: Quote) -> str | None:
    expiry = quote.contract.expiry
    return None if expiry is None else f"{expiry - timedelta(days=3650):%Y%m%d}"


STATIC: dict[str, Callable[[Quote], str | None]] = {
    "55": lambda quote: quote.contract.symbol,
    "201": lambda quote: quote.contract.right or None,
    "6004": lambda quote: quote.contract.exchange,
    "6008": lambda quote: str(quote.contract.conid),
    "6070": lambda quote: quote.contract.kind,
    "6072": lambda quote: quote.contract.month or None,
    "6073": lambda quote: None if quote.contract.expiry is None else f"{quote.contract.expiry:%Y%m%d}",
    "6457": lambda quote: str(quote.contract.future or quote.contract.underlying or "") or None,
    "6508": lambda quote: f"&serviceID1=122&serviceID2=123&conid={quote.contract.conid}",
    "7051": lambda quote: quote.contract.name,
    "7094": lambda quote: f"{quote.contract.conid}@{quote.contract.exchange}",
    "7184": lambda quote: "0" if quote.contract.kind == "IND" else "1",
    "7219": lambda quote: quote.contract.description,
    "7220": lambda quote: quote.contract.symbol,
    "7221": lambda quote: quote.contract.exchange,
    "7280": lambda quote: quote.contract.sector or None,
    "7281": lambda quote: quote.contract.group or None,
    "7704": lambda quote: quote.contract.name if quote.contract.kind == "BOND" else None,
    "7705": lambda quote: "SENIOR UNSECURED" if quote.contract.kind == "BOND" else None,
    "7706": lambda quote: quote.contract.rating or None,
    "7707": lambda quote: "US" if quote.contract.kind == "BOND" else None,
    "7708": lambda quote: quote.contract.sector if quote.contract.kind == "BOND" else None,
    "7714": lambda quote: None if quote.contract.expiry is None else f"{quote.contract.expiry:%Y%m%d}",
    "7715": _issue_date,
    "7768": lambda quote: "1",
}
"""Fields that come even without a market-data subscription."""

FAST: dict[str, Callable[[Quote], str | None]] = {
    "31": _last,
    "58": lambda quote: None,
    "70": _range(1),
    "71": _range(2),
    "73": _held(lambda quote, held: f"{held.value:,.0f}"),
    "74": _held(lambda quote, held: f"{held.holding.cost:.{quote.contract.decimals}f}"),
    "75": _held(lambda quote, held: f"{held.unrealized:,.2f}"),
    "76": _held(lambda quote, held: f"{held.holding.quantity:g}"),
    "77": _held(lambda quote, held: f"{held.unrealized:,.2f}"),
    "78": _held(lambda quote, held: f"{held.daily:,.2f}"),
    "79": _held(lambda quote, held: f"{held.realized:,.2f}"),
    "80": _held(_gain_percent),
    "82": lambda quote: quote.money(_change(quote)),
    "83": _percent,
    "84": _side(0),
    "85": _size("ask"),
    "86": _side(1),
    "87": _traded(lambda quote: short(quote.volume)),
    "88": _size("bid"),
    "7057": _stock(lambda quote: "KPQ"),
    "7058": _stock(lambda quote: "D"),
    "7059": _size("last"),
    "7068": _stock(lambda quote: "KQZ"),
    "7292": _held(lambda quote, held: f"{held.paid:,.2f}"),
    "7295": _range(0),
    "7296": lambda quote: quote.money(quote.close),
    "7635": lambda quote: quote.money(sum(quote.sides) / 2),
    "7639": _held(_share),
    "7682": lambda quote: None if quote.day is None else quote.money(quote.last - quote.day.open),
    "7741": lambda quote: quote.money(quote.prior),
    "7762": _traded(lambda quote: str(quote.volume)),
    "7920": _held(lambda quote, held: f"{held.daily:.2f}"),
    "7921": _held(lambda quote, held: f"{held.paid:.2f}"),
}


def _earnings(quote: Quote) -> float:
    """A year's, of a share."""
    return quote.contract.price / (8 + quote.trait(290, 400) / 10)


def _ex_date(quote: Quote) -> str:
    pays = dividends.yearly(quote.contract) > 0
    return f"{dividends.next_ex_date(quote.contract, today(quote.now)):%Y%m%d}" if pays else ""


SLOW: dict[str, Callable[[Quote], str | None]] = {
    "7084": lambda quote: f"{90 + quote.trait(84, 300) / 10:.1f}%",
    "7085": _stock(lambda quote: f"{0.4 + quote.trait(85, 90) / 100:.2f}"),
    "7086": _stock(lambda quote: f"{0.3 + quote.trait(86, 90) / 100:.2f}"),
    "7087": lambda quote: f"{quote.contract.volatility * 97:.1f}%",
    "7088": lambda quote: f"{quote.contract.volatility * 95:.1f}%",
    "7089": lambda quote: short(quote.trait(89, 400_000)) if quote.contract.strike_step else None,
    "7282": _traded(lambda quote: short(quote.world.market.average_volume(quote.contract))),
    "7283": lambda quote: f"{quote.contract.volatility * 100:.1f}%",
    "7284": lambda quote: f"{quote.contract.volatility * 97:.1f}%",
    "7285": _stock(lambda quote: f"{0.4 + quote.trait(285, 90) / 100:.2f}"),
    "7286": _stock(lambda quote: f"{dividends.quarterly(quote.contract):.2f}"),
    "7287": _stock(lambda quote: f"{dividends.yearly(quote.contract) / quote.last * 100:.2f}%"),
    "7288": _stock(_ex_date),
    "7289": _stock(lambda quote: short(quote.last * (1 + quote.trait(289, 150)) * 1e8)),
    "7290": _stock(lambda quote: f"{quote.last / _earnings(quote):.2f}"),
    "7291": _stock(lambda quote: f"{_earnings(quote):.2f}"),
    "7293": _year(0),
    "7294": _year(1),
    "7308": _greek("delta"),
    "7309": _greek("gamma"),
    "7310": _greek("theta"),
    "7311": _greek("vega"),
    "7607": lambda quote: f"{quote.trait(607, 2000) / 10 - 60:.1f}%" if quote.contract.strike_step else None,
    "7633": lambda quote: None if quote.greeks is None else f"{quote.greeks.volatility * 100:.1f}%",
    "7636": _stock(lambda quote: f"{quote.trait(636, 40_000) * 1000:,}"),
    "7637": _stock(lambda quote: f"{0.25 + quote.trait(637, 40) / 100:.4f}%"),
    "7638": lambda quote: f"{quote.trait(638, 9000):,}" if quote.contract.right else None,
    "7644": _stock(lambda quote: "3.0"),
    "7655": _stock(lambda quote: str(1 + quote.trait(655, 5))),
    "7671": _stock(lambda quote: f"{dividends.yearly(quote.contract):.2f}"),
    "7672": _stock(lambda quote: f"{dividends.yearly(quote.contract):.2f}"),
    "7674": _average(200),
    "7675": _average(100),
    "7676": _average(50),
    "7677": _average(20),
    "7694": lambda quote: None if quote.greeks is None else f"{abs(quote.greeks.delta) * 100:.1f}%",
    "7695": lambda quote: None if quote.greeks is None else quote.money(_break_even(quote)),
    "7696": lambda quote: None if quote.greeks is None else f"{quote.greeks.delta * 0.12:.3f}",
    "7697": lambda quote: f"{quote.trait(697, 2_000_000):,}" if quote.contract.kind == "FUT" else None,
    "7698": _yield,
    "7699": _yield,
    "7700": lambda quote: None if quote.greeks is None else f"{abs(quote.greeks.delta) * 100:.1f}%",
    "7702": lambda quote: None if quote.greeks is None else f"{100 - abs(quote.greeks.delta) * 100:.1f}%",
    "7703": lambda quote: None if quote.greeks is None else f"{abs(quote.greeks.delta) * 88:.1f}%",
    "7718": _stock(lambda quote: f"{quote.contract.volatility / 0.16 * 0.6:.3f}"),
    "7720": _yield,
}
"""Fields that need several polls."""


def _break_even(quote: Quote) -> float:
    return quote.contract.strike + (quote.last if quote.contract.right == "C" else -quote.last)


def _ratio(field: str) -> Callable[[Quote], str | None]:
    def ratio(quote: Quote) -> str | None:
        average = SLOW[field](quote)
        return None if average is None else f"{(quote.last / float(average) - 1) * 100:.2f}%"

    return ratio


SLOW |= {
    ratio: _ratio(average)
    for ratio, average in zip(("7678", "7679", "7724", "7681"), ("7674", "7675", "7676", "7677"), strict=True)
}

EVERY = STATIC | FAST | SLOW
