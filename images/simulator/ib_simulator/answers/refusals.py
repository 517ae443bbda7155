"""How IBKR says no: the shapes that errors have."""

from __future__ import annotations

from math import isfinite

from ib_simulator.call import Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract


def bad_request(text: str) -> Refusal:
    """400 with IBKR's usual prefix."""
    return Refusal(400, {"error": f"Bad Request: {text}", "statusCode": 400})


def failed(text: str, status: int = 500) -> Refusal:
    return Refusal(status, {"error": text, "statusCode": status})


def unavailable() -> Refusal:
    """503, as for orders and instruments that IBKR cannot find."""
    return failed("Details currently unavailable.", 503)


def account_of(world: World, call: Call, name: str = "accountId") -> Account:
    """The account in the path, or 400."""
    account = world.account(call.path[name])
    if account is None:
        raise bad_request("Account is invalid")
    return account


def needs_accounts(call: Call) -> None:
    """Refuse with 400 until /iserver/accounts was called in this brokerage session."""
    if not call.memory.seen["list_brokerage_accounts"]:
        raise Refusal(400, {"error": "Please query /accounts first", "statusCode": 400})


def required(call: Call, name: str) -> str:
    """A query parameter that must be there, or 400."""
    value = call.query.get(name, "")
    if not value:
        raise bad_request(f"missing parameter {name}")
    return value


def conid_in(call: Call, name: str = "conid") -> int:
    """A conid in the query, or 400."""
    return as_conid(required(call, name))


def as_conid(text: object) -> int:
    """``265598`` or ``"265598@SMART"`` as a number, or 400."""
    digits = str(text).partition("@")[0]
    number = as_number(digits)
    if number is None:
        raise bad_request(f"invalid conid {digits[:40]}")
    return number


def as_number(text: object) -> int | None:
    """A whole number from 0 on, or None."""
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def as_amount(value: object) -> float | None:
    """A finite number, sent as one or as text, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def body_of(call: Call) -> dict[str, object]:
    """The JSON object in the body, or 400."""
    if not isinstance(call.body, dict):
        raise bad_request("a JSON object is expected")
    return call.body


def known(world: World, conid: int, status: int = 500, text: str = "Invalid conid") -> Contract:
    """The contract, or ``status``."""
    contract = world.contracts.get(conid)
    if contract is None:
        raise failed(text, status)
    return contract
