"""How others write an exchange, and the codes under which IBKR lists there.

IBKR's own codes are taken as they are. Sources: IBKR's list of exchanges and the suffixes of Yahoo, Bloomberg, Google
and TradingView as they are in common use.
"""

from __future__ import annotations

US = "US"
"""Stands for every exchange of the United States."""

MAIN_US = frozenset({"NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "IEX", "CBOE"})
_OTHER_US = frozenset({"PINK", "OTCBB", "OTCLNKECN", "OTC", "ISLAND", "NYSENAT", "CHX", "LTSE", "MEMX", "EDGX", "BYX"})
FUTURES = frozenset(
    {"CME", "CBOT", "NYMEX", "COMEX", "CFE", "EUREX", "ICEEU", "ICEEUSOFT", "ICEUS", "NYBOT", "NYSELIFFE", "OSE.JPN"}
    | {"HKFE", "SGX", "SNFE", "CDE", "MONEP", "FTA", "IDEM", "MEFFRV", "OMS", "KSE", "NSE", "MEXDER", "IPE", "LMEOTC"}
)

# IBKR's codes, then how Bloomberg, Yahoo (after a dot) and others write the place.
_PLACES = """
NYSE                | UN | | NYQ
NASDAQ ISLAND       | UW UQ UR | | NAS NASDAQGS NASDAQGM NASDAQCM NMS
ARCA                | UP | | NYSEARCA PCX
AMEX                | UA | | NYSEAMERICAN NYSEMKT ASE
BATS                | UF | | CBOEBZX BZX
PINK OTCLNKECN      | UV | | OTC OTCMKTS PNK
LSE LSEETF LSEIOB1  | LN | L IL | LON LONDON
IBIS IBIS2          | GY | DE | XETRA XETR ETR GER
FWB FWB2            | GF | F | FRA FSE FRANKFURT
SWB SWB2            | GS | SG | STU STUTTGART
IBIS IBIS2 FWB FWB2 SWB SWB2 | GR | | GERMANY
SBF                 | FP | PA | EPA PARIS XPAR
AEB                 | NA | AS | AMS AMSTERDAM XAMS
ENEXT.BE            | BB | BR | EBR BRUSSELS XBRU
BVL                 | PL | LS | ELI LISBON XLIS
EBS                 | SW SE VX | SW VX | SIX SWX ZURICH XSWX
BVME BVME.ETF       | IM | MI | BIT MIL MILAN XMIL
BM                  | SM SQ | MC | BME MAD MADRID XMAD
SFB                 | SS | ST | STO STOCKHOLM OMXSTO XSTO
CPH                 | DC | CO | OMXCOP COPENHAGEN XCSE
HEX                 | FH | HE | OMXHEX HEL HELSINKI XHEL
OSE                 | NO | OL | OSL OSLO XOSL
VSE                 | AV | VI | VIE VIENNA XWBO
WSE                 | PW | WA | GPW WARSAW XWAR
PRA                 | CP | PR | PSE PRAGUE XPRA
BUX                 | HB | BD | BET BUDAPEST XBUD
ISED                | ID | IR | DUB DUBLIN XDUB
TSEJ                | JP JT | T | TYO TOKYO XTKS JPX
SEHK                | HK | HK | HKG HKEX HONGKONG XHKG
SEHKNTL             | CG C1 | SS | SSE SHA SHANGHAI XSHG
SEHKSZSE            | CS C2 | SZ | SZSE SHE SHENZHEN XSHE
SGX                 | SP | SI | SES SINGAPORE XSES
ASX                 | AU AT | AX | SYDNEY XASX
NZSE NZX            | NZ | NZ | NZE XNZE
TSE                 | CN CT | TO | TSX TORONTO XTSE
VENTURE             | CV | V | TSXV CVE XTSX
JSE                 | SJ | JO | JNB JOHANNESBURG XJSE
NSE                 | IN IS | NS | XNSE
BSE                 | IB | BO | BOM BOMBAY XBOM
KSE KRX             | KS KP | KS KQ | KRX KOSPI KOSDAQ XKRX
TWSE                | TT | TW TWO | TPE TAIPEI XTAI
TASE                | IT | TA | TLV XTAE
MEXI                | MM | MX | BMV MEXICO XMEX
BOVESPA B3          | BZ BS | SA | BVMF SAOPAULO
TADAWUL             | AB | SR | SAUDI XSAU
"""

# A well-known instrument of each place, by which its hours are asked for.
_KNOWN_BY = {
    "NYSE": "IBM",
    "NASDAQ": "AAPL",
    "ARCA": "SPY",
    "AMEX": "IMO",
    "US": "AAPL",
    "LSE": "VOD@LSE",
    "IBIS": "SAP@IBIS",
    "FWB": "SAP@FWB",
    "SBF": "MC@SBF",
    "AEB": "ASML@AEB",
    "ENEXT.BE": "ABI@ENEXT.BE",
    "EBS": "NESN@EBS",
    "BVME": "ENEL@BVME",
    "BM": "SAN@BM",
    "SFB": "VOLV.B@SFB",
    "CPH": "NOVO.B@CPH",
    "HEX": "NOKIA@HEX",
    "OSE": "EQNR@OSE",
    "VSE": "EBS@VSE",
    "WSE": "PKO@WSE",
    "TSEJ": "7203@TSEJ",
    "SEHK": "700@SEHK",
    "SGX": "D05@SGX",
    "ASX": "BHP@ASX",
    "TSE": "RY@TSE",
    "JSE": "NPN@JSE",
    "NSE": "RELIANCE@NSE",
    "KSE": "005930@KSE",
    "TWSE": "2330@TWSE",
    "TASE": "TEVA@TASE",
    "MEXI": "AAPL@MEXI",
    "CME": "/ES",
    "CBOT": "/ZC",
    "NYMEX": "/CL",
    "COMEX": "/GC",
    "EUREX": "/DAX",
    "CBOE": "SPX",
    "FX": "EUR.USD",
    "FOREX": "EUR.USD",
    "IDEALPRO": "EUR.USD",
    "CRYPTO": "BTC.USD",
    "PAXOS": "BTC.USD",
}


def instrument_of(place: str) -> str | None:
    """An instrument traded at the exchange ``place``, in IBKR's words or others'; None for an unknown one."""
    asked = place.strip().upper()
    codes = (asked, *sorted(_CODES.get(asked, ())))
    return next((_KNOWN_BY[code] for code in codes if code in _KNOWN_BY), None)


def _read() -> tuple[dict[str, frozenset[str]], dict[str, str], dict[str, str]]:
    codes: dict[str, frozenset[str]] = {}
    bloomberg: dict[str, str] = {}
    yahoo: dict[str, str] = {}
    for line in _PLACES.strip().splitlines():
        own, terminal, dotted, others = (part.split() for part in line.split("|"))
        for code in own:
            codes[code] = codes.get(code, frozenset()) | {code}
        if not others:
            continue
        codes |= {name: frozenset(own) for name in others if name not in codes}
        bloomberg |= dict.fromkeys(terminal, others[0])
        yahoo |= dict.fromkeys(dotted, others[0])
    return codes, bloomberg, yahoo


_CODES, BLOOMBERG, YAHOO = _read()
"""Codes by name; names by the suffix that Bloomberg and Yahoo write."""
BLOOMBERG[US] = US
# Other feeds write these after a dot.
YAHOO |= {US: US, "O": "NASDAQ", "N": "NYSE"}


def is_us(code: str) -> bool:
    return code.upper().split(".")[0] in MAIN_US | _OTHER_US


def is_at(code: str, asked: str) -> bool:
    """Whether IBKR's exchange ``code`` is what is meant by ``asked``, in IBKR's words or others'."""
    code, asked = code.upper(), asked.upper()
    if asked == US:
        return is_us(code)
    return code == asked or code in _CODES.get(asked, ()) or code.split(".")[0] == asked


def is_known(name: str) -> bool:
    return name in _CODES or name == US
