"""How futures, options, bonds and CFDs are written."""

from __future__ import annotations

import re
from decimal import Decimal

from ib_mcp.market.contract import MONTH_LETTERS, MONTHS
from ib_mcp.market.wanted import Bond, Cfd, Future, Option, Stock, Wanted

_CLASS_ROOTS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "DJXW": "DJX", "XSPW": "XSP"}

_ROOT = r"(?P<slash>/)?(?P<symbol>[A-Z0-9][A-Z0-9.&+-]{0,19}(?: [A-Z])?)(?:@(?P<exchange>[A-Z][A-Z0-9.]{1,15}))?"
_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
_DATES = (
    r"(?P<expiry>20[0-9]{2}-?[0-9]{2}(?:-?[0-9]{2})?)",
    rf"(?P<day>[0-9]{{1,2}}) ?-?{_MONTH} ?[-']?(?:20)?(?P<year>[0-9]{{2}})",
    rf"{_MONTH} ?(?P<day>[0-9]{{1,2}})(?:,? ?20|,? ?'|, ?)(?P<year>[0-9]{{2}})",
    rf"{_MONTH} ?'?(?:20)?(?P<year>[0-9]{{2}})",
    r"(?P<number>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?:20)?(?P<year>[0-9]{2})",
)
_TAIL = r"(?: (?P<tclass>(?!X[0-9])[A-Z0-9]{1,6}))?(?: X(?P<multiplier>[0-9]+(?:\.[0-9]+)?))?"
_TERMS = (
    r"(?P<right>C|P|CALL|PUT) ?(?P<strike>[0-9]+(?:\.[0-9]+)?)",
    r"(?P<strike>[0-9]+(?:\.[0-9]+)?) ?(?P<right>C|P|CALL|PUT)",
)
_OPTIONS = [re.compile(rf"{_ROOT} {date} {terms}{_TAIL}") for date in _DATES for terms in _TERMS]
_FUTURES = [re.compile(rf"{_ROOT} {date}{_TAIL}") for date in _DATES]
# Root or trading class, day, right and strike (in thousandths when it has eight digits) without blanks: OCC's way.
_OCC = re.compile(
    r"[.-]?(?P<tclass>[A-Z][A-Z0-9]{0,5}?|[0-9][A-Z]{1,5}) ?(?P<date>[0-9]{6})(?P<right>[CP])"
    r"(?P<strike>[0-9]+(?:\.[0-9]+)?)(?: (?P<multiplier>[0-9]+(?:\.[0-9]+)?))?"
)
_IN_BRACKETS = re.compile(r"(?P<before>[^\[]+?) ?\[(?P<inside>[^\]]*)\]")
_CODE = re.compile(
    rf"(?P<slash>/)?(?P<symbol>[A-Z0-9]{{1,5}}?)(?P<letter>[{MONTH_LETTERS}])(?:20(?P<year>[0-9]{{2}})|(?P<short>[0-9]{{1,2}}))"
)
_NEXT = re.compile(r"/(?P<symbol>[A-Z0-9]{1,6})|(?P<yahoo>[A-Z0-9]{1,6})=F")
_BOND = re.compile(
    r"(?P<symbol>[A-Z0-9][A-Z0-9.-]{0,11}) (?P<coupon>[0-9]{1,2}(?:\.[0-9]+)?)(?: (?P<part>[1-7])/(?P<of>[248]))?%? "
    r"(?:(?P<iso>20[0-9]{2}-?[0-9]{2}-?[0-9]{2})|(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?:20)?(?P<year>[0-9]{2}))"
)
_CFD = re.compile(
    r"(?P<symbol>[A-Z0-9][A-Z0-9.&+/-]{0,29}(?: [A-Z])?)(?:@(?P<exchange>[A-Z][A-Z0-9.]{1,15}))? CFD"
    r"(?: (?P<currency>[A-Z]{3}))?"
)


def read(words: str) -> tuple[Wanted, ...]:
    """What upper-case ``words`` name, or nothing when they have none of these forms."""
    return _bracketed(words) or _option(words) or _future(words) or _bond(words) or _cfd(words)


def undashed(expiry: str) -> str:
    """An expiry as YYYYMM or YYYYMMDD, also where it was written with dashes."""
    return expiry.replace("-", "")


def _bracketed(words: str) -> tuple[Wanted, ...]:
    """IBKR's own description: ``SPX DEC2026 6800 C [SPXW 261218C06800000 100]``."""
    parts = _IN_BRACKETS.fullmatch(words)
    if parts is None:
        return ()
    exact = _OCC.fullmatch(parts["inside"])
    return _occ(exact, parts["before"].split(" ")[0]) if exact else _option(parts["before"])


def _option(words: str) -> tuple[Wanted, ...]:
    if found := next((found for form in _OPTIONS if (found := form.fullmatch(words))), None):
        told = found.groupdict()
        option = Option(
            symbol=told["symbol"],
            expiry=_expiry(told),
            right=told["right"][0],
            strike=Decimal(told["strike"]),
            exchange=told["exchange"],
            trading_class=told["tclass"] or "",
            multiplier=_decimal(told["multiplier"]),
            on_future=told["slash"] is not None,
        )
        return (option,)
    found = _OCC.fullmatch(words)
    return () if found is None else _occ(found, None)


def _occ(found: re.Match[str], root: str | None) -> tuple[Wanted, ...]:
    tclass, strike = found["tclass"], found["strike"]
    plain_root = tclass.strip("0123456789") or tclass
    option = Option(
        symbol=root or _CLASS_ROOTS.get(plain_root, plain_root),
        expiry=f"20{found['date']}",
        right=found["right"],
        strike=Decimal(strike) / 1000 if len(strike) == 8 else Decimal(strike),
        trading_class=tclass,
        multiplier=_decimal(found["multiplier"]),
    )
    return (option,)


def _future(words: str) -> tuple[Wanted, ...]:
    if found := _NEXT.fullmatch(words):
        whole = (found["symbol"] or found["yahoo"]).removesuffix("=F")
        dated = _CODE.fullmatch(whole) if found["symbol"] else None
        return (*((_coded(dated),) if dated else ()), Future(whole, ""))
    if found := next((found for form in _FUTURES if (found := form.fullmatch(words))), None):
        told = found.groupdict()
        return (
            Future(told["symbol"], _expiry(told), told["exchange"], told["tclass"] or "", _decimal(told["multiplier"])),
        )
    # A stock of exactly these letters comes first: some funds are called EXV6.
    found = _CODE.fullmatch(words)
    return () if found is None else (Stock(words), _coded(found))


def _coded(found: re.Match[str]) -> Future:
    month = f"{MONTH_LETTERS.index(found['letter']) + 1:02}"
    year = found["year"] or found["short"]
    return Future(found["symbol"], f"20{year:?>2}{month}")


def _bond(words: str) -> tuple[Wanted, ...]:
    found = _BOND.fullmatch(words)
    if found is None:
        return ()
    coupon = Decimal(found["coupon"])
    if found["part"]:
        coupon += Decimal(found["part"]) / Decimal(found["of"])
    maturity = undashed(found["iso"]) if found["iso"] else f"20{found['year']}{found['month']:0>2}{found['day']:0>2}"
    return (Bond(found["symbol"], coupon, maturity),)


def _cfd(words: str) -> tuple[Wanted, ...]:
    found = _CFD.fullmatch(words)
    return () if found is None else (Cfd(found["symbol"], found["exchange"], found["currency"]),)


def _expiry(told: dict[str, str | None]) -> str:
    if told.get("expiry"):
        return undashed(str(told["expiry"]))
    month = int(told["number"] or 0) if told.get("number") else MONTHS.index(str(told["month"])) + 1
    day = f"{int(told['day'] or 0):02}" if told.get("day") else ""
    return f"20{told['year']}{month:02}{day}"


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
