"""Actions on the market and on orders: prices and sizes moved, orders filled or rejected, questions added."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ib_simulator.control.action import Action, Arguments, Controllable, Invalid, action
from ib_simulator.world import World
from ib_simulator.world.contract import Contract
from ib_simulator.world.orders import Order


class MarketMove(Arguments):
    """``price``: where the instrument stands from now on, in its currency; ``percent``: by how much it moves.

    ``size``: how much there is at bid and ask; ``usual_size`` ends that.
    """

    conid: int
    price: float | None = Field(None, gt=0)
    percent: float | None = Field(None, gt=-100)
    size: float | None = Field(None, ge=0)
    usual_size: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.price is not None and self.percent is not None:
            raise ValueError("give one of price, percent")
        if self.price is None and self.percent is None and self.size is None and not self.usual_size:
            raise ValueError("give price, percent, size or usual_size")
        return self


class OrderPace(Arguments):
    """Seconds of ``ib_simulator.world.orders.pace.Pace``."""

    acknowledge_s: float | None = Field(None, ge=0)
    cancel_s: float | None = Field(None, ge=0)
    fill_s: float | None = Field(None, gt=0)
    list_s: float | None = Field(None, ge=0)
    question_s: float | None = Field(None, ge=0)
    any_request_voids: bool | None = None


class OrderQuestions(Arguments):
    """Asked of the next order, besides the usual ones; none takes them back."""

    message_ids: list[str] = Field(max_length=20)
    text: str = "Do you want to submit this order?"


class OrderEvent(Arguments):
    """What the exchange does to an order that works."""

    order_id: int
    event: Literal["fill", "reject", "cancel"]
    quantity: float | None = Field(None, gt=0)
    price: float | None = None
    reason: str = ""


def _market(simulator: Controllable, arguments: MarketMove) -> None:
    now = simulator.clock.now()
    market = next(iter(simulator.backend.worlds.values())).market
    contract = market.contracts.get(arguments.conid)
    if contract is None:
        raise Invalid(f"market: there is no instrument {arguments.conid}")
    if arguments.price is not None:
        market.move(contract, _factor(contract, arguments.price, market.price(contract, now)), now)
    elif arguments.percent is not None:
        market.move(contract, 1 + arguments.percent / 100, now)
    if arguments.usual_size:
        market.set_size(contract, None)
    elif arguments.size is not None:
        market.set_size(contract, arguments.size)


def _factor(contract: Contract, wanted: float, price: float) -> float:
    if contract.right:
        raise Invalid("market: the price of an option follows its underlying; move that")
    return wanted / price


def _pace(simulator: Controllable, arguments: OrderPace) -> None:
    for world in simulator.backend.worlds.values():
        for name, value in arguments.model_dump(exclude_none=True).items():
            setattr(world.orders.pace, name, value)


def _questions(simulator: Controllable, arguments: OrderQuestions) -> None:
    for world in simulator.backend.worlds.values():
        world.orders.more_questions = [(message_id, arguments.text) for message_id in arguments.message_ids]


def _event(simulator: Controllable, arguments: OrderEvent) -> None:
    now = simulator.clock.now()
    world, order = _found(simulator, arguments.order_id, now)
    if order.is_final:
        raise Invalid(f"order-event: order {order.id} is {order.status}")
    if arguments.event == "fill":
        world.orders.deal(order, now, arguments.quantity, arguments.price)
    elif arguments.event == "reject":
        world.orders.reject(order, now, arguments.reason or "rejected by the exchange")
    else:
        world.orders.end(order, now, arguments.reason or "cancelled by the exchange")


def _found(simulator: Controllable, order_id: int, now: float) -> tuple[World, Order]:
    """The order of the user who is signed in, or of the first who has it."""
    session, worlds = simulator.session, simulator.backend.worlds
    for world in ([worlds[session.user.key]] if session.user is not None else []) + list(worlds.values()):
        order = world.orders.get(order_id, now)
        if order is not None:
            return world, order
    raise Invalid(f"order-event: there is no order {order_id}")


ORDER_ACTIONS: dict[str, Action] = {
    "market": action(MarketMove, _market),
    "order-pace": action(OrderPace, _pace),
    "order-questions": action(OrderQuestions, _questions),
    "order-event": action(OrderEvent, _event),
}
