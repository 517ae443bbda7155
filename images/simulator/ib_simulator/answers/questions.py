"""What IBKR asks before it takes an order, by message id."""

from __future__ import annotations

from collections.abc import Collection

from ib_simulator.answers.refusals import as_conid
from ib_simulator.answers.tickets import Ticket, contract_in, legs_in
from ib_simulator.world import World
from ib_simulator.world.accounts import Account
from ib_simulator.world.orders.order import cash_of, type_of

Question = tuple[str, str]
"""Message id and text."""

SIZE_LIMIT = 500
VALUE_LIMIT = 1_000_000
"""In the account's currency."""


def questions(
    world: World,
    account: Account,
    ticket: Ticket,
    now: float,
    *,
    watched: Collection[object],
    suppressed: Collection[str],
) -> list[Question]:
    """About one ticket; ``watched`` are conids with market data, ``suppressed`` message ids that are not asked."""
    contract = contract_in(world, ticket)
    kind = type_of(ticket)
    last = contract.quoted(world.market.price(contract, now))
    price, quantity = ticket.get("price"), float(ticket.get("quantity") or 0)
    asked: list[Question] = []
    if kind == "LMT" and price is not None and last and not legs_in(world, ticket) and abs(price / last - 1) > 0.03:
        asked.append(("o163", f"The limit price is more than 3% away from the market price of {last}. Submit it?"))
    if not any(as_conid(key) == contract.conid for key in watched):
        asked.append(("o354", "You have no market data for this instrument. Submit the order without it?"))
    if quantity > SIZE_LIMIT and contract.kind != "CASH":
        asked.append(("o383", f"The order is larger than your size limit of {SIZE_LIMIT}. Submit it?"))
    rate = world.market.rate(contract.currency, account.currency, now)
    worth = (cash_of(ticket) or quantity * world.market.price(contract, now) * contract.multiplier) * rate
    if worth > VALUE_LIMIT:
        asked.append(("o451", f"The order is worth more than your limit of {VALUE_LIMIT:,}. Submit it?"))
    if kind in {"STP", "TRAIL"}:
        asked.append(("o10331", "A stop order may be filled far from its stop price. Submit it?"))
    if cash_of(ticket) and contract.kind == "STK":
        asked.append(("o10223", "An order for an amount of money is filled in whole shares. Submit it?"))
    if contract.kind == "CRYPTO":
        asked.append(("o10288", "Prices of crypto assets move by much. Submit it?"))
    asked += world.orders.more_questions
    return [question for question in asked if question[0] not in suppressed]
