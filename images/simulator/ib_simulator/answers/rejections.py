"""What IBKR rejects of tickets whose form is right, with status 200 and a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ib_simulator.answers.contracts import ALGOS, fraction_digits, order_types
from ib_simulator.answers.tickets import Ticket, contract_in, legs_in
from ib_simulator.answers.whatif import executions_expected
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders import ORDER_TYPES, Order
from ib_simulator.world.orders.order import cash_of, type_of

MOST_ACTIVE = 20
"""Active orders for one contract, side and account."""

_NEEDS = {
    "LMT": ("price",),
    "STP": ("price",),
    "STOP_LIMIT": ("price", "auxPrice"),
    "LIT": ("price", "auxPrice"),
    "LOC": ("price",),
    "TRAIL": ("trailingAmt",),
    "TRAILLMT": ("price", "auxPrice", "trailingAmt"),
}
_PRICES = ("price", "auxPrice")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A ticket in an account at a time; ``order`` is the one that it would change."""

    world: World
    account: Account
    ticket: Ticket
    now: float
    order: Order | None = None

    @property
    def contract(self) -> Contract:
        return contract_in(self.world, self.ticket)

    @property
    def type(self) -> str:
        return type_of(self.ticket)

    @property
    def buys(self) -> bool:
        return str(self.ticket["side"]).upper() == "BUY"

    @property
    def quantity(self) -> float:
        return float(self.ticket.get("quantity") or 0)


def rejection(attempt: Attempt, *, money: bool = True) -> str | None:
    """Why IBKR does not take the ticket, or None; a preview tells of ``money`` by itself."""
    reasons: tuple[Callable[[Attempt], str | None], ...] = (
        _handle,
        _size,
        _price,
        _contract,
        _time,
        _algo,
        _short,
        _count,
    )
    for reason in (*reasons, _money) if money else reasons:
        text = reason(attempt)
        if text is not None:
            return text
    return None


def _handle(attempt: Attempt) -> str | None:
    ticket, orders = attempt.ticket, attempt.world.orders
    if attempt.order is not None:
        return None
    handle, parent = ticket.get("cOID"), ticket.get("parentId")
    if handle and parent:
        return "An attached order takes no cOID."
    if handle and orders.has_handle(str(handle), attempt.now):
        return f"Order couldn't be submitted: Local order ID={handle} is already registered."
    return None


def _size(attempt: Attempt) -> str | None:
    ticket, contract = attempt.ticket, attempt.contract
    cash = cash_of(ticket)
    if (cash or attempt.quantity) <= 0:
        return "Order size must be positive."
    if cash:
        if ticket.get("isCcyConv") and contract.kind != "CASH":
            return "A currency conversion needs a currency pair."
        if attempt.account.trading_type != "STKNOPT" or contract.kind not in {"STK", "CASH", "CRYPTO"}:
            return "Cash quantity orders are not supported for this account and contract."
        return None
    digits = fraction_digits(contract)
    if contract.kind == "STK" and attempt.account.trading_type != "STKNOPT":
        digits = 0
    if abs(attempt.quantity - round(attempt.quantity, digits)) > 1e-12:
        allowed = f"have at most {digits} digits after the point" if digits else "be a whole number"
        return f"The size of the order must {allowed} for this contract."
    if attempt.order is not None and attempt.quantity < attempt.order.filled:
        return "The size of the order is below what is filled of it."
    return None


def _price(attempt: Attempt) -> str | None:
    ticket, contract, kind = attempt.ticket, attempt.contract, attempt.type
    missing = next((name for name in _NEEDS.get(kind, ()) if ticket.get(name) is None), None)
    if missing or (kind == "MIT" and ticket.get("price") is None and ticket.get("auxPrice") is None):
        return f"A {ORDER_TYPES[kind]} order needs a price: {missing or 'price'}."
    if kind in {"TRAIL", "TRAILLMT"} and ticket.get("trailingType") not in {"amt", "%"}:
        return "trailingType must be amt or %."
    tick = contract.quoted(contract.tick)
    for name in _PRICES:
        price = ticket.get(name)
        if price is not None and abs(price / tick - round(price / tick)) > 1e-6:
            return "The price does not conform to the minimum price variation for this contract."
        if price is not None and price <= 0 and not legs_in(attempt.world, ticket) and contract.kind != "FUT":
            return "The price must be positive."
    return None


def _contract(attempt: Attempt) -> str | None:
    ticket, contract, world = attempt.ticket, attempt.contract, attempt.world
    legs = [world.contracts[conid] for conid, _ in legs_in(world, ticket)] or [contract]
    if {leg.kind for leg in legs} & {"FUT", "FOP"} and "manualIndicator" not in ticket:
        return "Manual order indicator must be set for this contract."
    if "IND" in {leg.kind for leg in legs}:
        return "No trading permission for this contract."
    if any(leg.expires_at and attempt.now >= leg.expires_at for leg in legs):
        return "The contract has expired."
    if attempt.type not in order_types(contract, combination=len(legs) > 1):
        return f"The order type {ORDER_TYPES[attempt.type]} is not supported for this contract."
    return None


def _time(attempt: Attempt) -> str | None:
    contract, tif = attempt.contract, attempt.ticket.get("tif", "DAY")
    fits = {
        "OPG": attempt.type in {"MKT", "LMT"} and contract.kind == "STK",
        "PAX": contract.kind == "CRYPTO",
        "OVT": contract.kind == "STK" and contract.is_us and attempt.type == "LMT",
        "OND": contract.kind == "STK" and contract.is_us and attempt.type == "LMT",
        "IOC": attempt.type in {"MKT", "LMT", "REL"},
        "FOK": attempt.type in {"MKT", "LMT"},
    }
    if not fits.get(tif, True):
        return f"The time in force {tif} is invalid for this combination of exchange and security type."
    if tif in {"IOC", "FOK"} and not contract.market.is_open(attempt.now, extended=True):
        return "The exchange is closed."
    return None


def _algo(attempt: Attempt) -> str | None:
    ticket = attempt.ticket
    name, given = ticket.get("strategy"), ticket.get("strategyParameters") or {}
    if name is None:
        return "strategyParameters need a strategy." if given else None
    if name not in ALGOS or attempt.contract.kind != "STK" or attempt.type not in {"LMT", "MKT"}:
        return f"The algo {name} is unknown or not supported for this order."
    known = {key for key, _, _ in ALGOS[name][1]}
    wrong = sorted(set(given) - known) or sorted(known - set(given))
    return f"Invalid algo parameters: {', '.join(wrong)}." if wrong else None


def _money(attempt: Attempt) -> str | None:
    """Whether the account can carry it, by the same figures as the preview."""
    if attempt.ticket.get("parentId"):
        return None
    world, account, now = attempt.world, attempt.account, attempt.now
    expected = executions_expected(world, attempt.ticket, now, done=attempt.order.filled if attempt.order else 0.0)
    if world.is_small(account, expected, now):
        return None
    before = world.valuation(account, now)
    after = world.valuation_after(account, expected, now)
    if after.initial_margin > before.initial_margin and after.available_funds < 0:
        return (
            "Your account does not have enough funds for this order: it needs an initial margin of "
            f"{after.initial_margin:,.2f} {account.currency}, the equity with loan value is "
            f"{after.net_liquidation:,.2f} {account.currency}."
        )
    if account.trading_type == "STKCASH" and attempt.buys and after.cash < 0:
        return f"Your account does not have enough cash for this order: {before.cash:,.2f} {account.currency}."
    return None


def _short(attempt: Attempt) -> str | None:
    """An account for cash only sells what it has."""
    account, world, contract = attempt.account, attempt.world, attempt.contract
    if account.trading_type != "STKCASH" or attempt.buys or contract.kind == "CASH" or attempt.ticket.get("parentId"):
        return None
    on_sale = sum(
        order.remaining
        for order in world.orders.active(attempt.now)
        if order.account == account.id
        and order.contract == contract
        and order.side == "SELL"
        and order is not attempt.order
        and order.parent is None
    )
    held = world.positions(account, attempt.now).quantity(contract.conid)
    if legs_in(world, attempt.ticket) or held - on_sale < attempt.quantity:
        return "Short sales are not allowed in this account."
    return None


def _count(attempt: Attempt) -> str | None:
    if attempt.order is not None:
        return None
    side = "BUY" if attempt.buys else "SELL"
    active = [
        order
        for order in attempt.world.orders.active(attempt.now)
        if (order.account, order.contract.conid, order.side) == (attempt.account.id, attempt.contract.conid, side)
    ]
    if len(active) >= MOST_ACTIVE:
        return f"At most {MOST_ACTIVE} active orders are allowed for one contract, side and account."
    return None
