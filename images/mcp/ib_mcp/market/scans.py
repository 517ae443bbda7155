"""What IBKR's scanner can be asked: its codes, found by words, and what is wrong with a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from ib_mcp.formats.bodies import listed_in, objects

Use = Literal["type", "instrument", "location", "filters"]


@dataclass(frozen=True, slots=True)
class Code:
    """``instruments``: of a scan those that it is for, of a location the one whose places it is among."""

    use: Use
    code: str
    name: str
    instruments: tuple[str, ...] = ()


def parse(body: Mapping[str, Any]) -> list[Code]:
    """All codes of the answer of the scanner's parameters."""
    found = [
        Code(
            "type",
            str(row.get("code")),
            str(row.get("display_name")),
            tuple(map(str, listed_in(row.get("instruments")))),
        )
        for row in objects(body.get("scan_type_list"))
    ]
    found += [
        Code("instrument", str(row.get("type")), str(row.get("display_name")))
        for row in objects(body.get("instrument_list"))
    ]
    found += [
        Code("filters", str(row.get("code")), str(row.get("display_name"))) for row in objects(body.get("filter_list"))
    ]
    for tree in objects(body.get("location_tree")):
        found += _locations(tree, str(tree.get("type")))
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, listed_in(value)))


def _locations(tree: Any, instrument: str) -> Iterator[Code]:
    yield Code("location", str(tree.get("type")), str(tree.get("display_name")), (instrument,))
    for row in objects(tree.get("locations")):
        yield from _locations(row, instrument)


def search(codes: list[Code], words: str) -> list[Code]:
    """Codes that have one of the words, those with the most words first."""
    wanted = words.lower().replace("-", " ").replace("_", " ").split()
    ranked = [(code, _hits(code, wanted)) for code in codes]
    return [code for code, hits in sorted(ranked, key=lambda each: -each[1]) if hits]


def _hits(code: Code, wanted: list[str]) -> int:
    spoken = "".join(f" {letter}" if letter.isupper() else letter for letter in code.code)
    # Most scans are for every instrument, so that these words tell nothing of a scan.
    places = " ".join(code.instruments) if code.use == "location" else ""
    text = f"{code.code} {spoken} {code.name} {places}".lower().replace("_", " ")
    # Gainers are found by gain, and shares by share.
    return sum(word in text or (len(word) > 4 and word.removesuffix("s") in text) for word in wanted)


def problems(
    codes: list[Code], *, scan: str, instrument: str, location: str, filters: Mapping[str, Any] | None
) -> list[str]:
    """What cannot be asked for so, in sentences; nothing where all of it is known."""
    asked = [("type", scan), ("instrument", instrument), ("location", location)]
    asked += [("filters", code) for code in filters or ()]
    found = [problem for use, given in asked if (problem := _unknown(codes, use, given))]
    if found:
        return found
    of_scan = next(code.instruments for code in codes if code.use == "type" and code.code == scan)
    if of_scan and instrument not in of_scan:
        found.append(f"The scan {scan} is not for {instrument} but for {', '.join(of_scan[:12])}.")
    of_place = next(code.instruments for code in codes if code.use == "location" and code.code == location)
    if instrument not in of_place and not location.startswith(instrument):
        places = [code.code for code in codes if code.use == "location" and instrument in code.instruments]
        found.append(f"The location {location} is none of {instrument}; its locations are {', '.join(places[:12])}.")
    return found


def _unknown(codes: list[Code], use: str, given: str) -> str | None:
    known = {code.code: code.name for code in codes if code.use == use}
    if given in known:
        return None
    by_case = {code.casefold(): code for code in known}
    close = [by_case[each] for each in get_close_matches(given.casefold(), by_case, n=3, cutoff=0.5)]
    told = f" Perhaps {' or '.join(close)}." if close else ""
    what = {"filters": "filter", "type": "scan"}.get(use, use)
    return f"There is no {what} {given[:40]!r}.{told}"
