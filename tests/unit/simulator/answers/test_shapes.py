"""Every operation of the catalogue answers, with the fields that clients read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ib_simulator.answers import ANSWERS
from ib_simulator.world import World
from ibkr.catalogue import load
from support.calls import CASES
from support.simulator import AAPL, LIVE, PAPER, Asker

SESSION = {
    "tickle",
    "get_auth_status",
    "open_brokerage_session",
    "validate_sign_in",
    "log_out",
    "reauthenticate",
    "reauthenticate_by_get",
    "open_websocket",
}

REFUSED = {
    "save_alert": 403,
    "place_model_orders": 403,
    "search_dynamic_accounts": 503,
    "select_dynamic_account": 401,
    "get_regulatory_snapshot": 404,
    "open_hmds_session": 404,
    "get_hmds_history": 404,
    "run_hmds_market_scanner": 404,
    "get_hmds_scanner_parameters": 404,
    "run_hmds_scanner": 404,
    "get_allocation_of_accounts": 500,
    "unsubscribe_market_data": 500,
    "answer_order_question": 400,
}
"""What a paper user without further ado is refused, and how."""

TEXT = {"answer_order_prompt", "delete_delivery_device"}


def test_every_operation_of_the_catalogue_is_answered() -> None:
    assert set(ANSWERS) == {endpoint.id for endpoint in load()} - SESSION


def test_every_answer_is_tried_here() -> None:
    assert {case[0] for case in CASES} | set(REFUSED) | TEXT == set(ANSWERS)


@pytest.mark.parametrize(("endpoint_id", "arguments", "keys"), CASES, ids=[case[0] for case in CASES])
def test_answers_hold_the_documented_fields(endpoint_id: str, arguments: dict[str, Any], keys: str) -> None:
    ask = Asker()
    ask.world.cold_notifications = 0
    if endpoint_id in {"get_order_status", "cancel_order", "modify_order"}:
        ask.twice("list_live_orders")
    if endpoint_id == "list_trades":
        ask(endpoint_id, **arguments)

    body = ask(endpoint_id, **arguments)

    assert ask.status == 200, body
    json.dumps(body)
    wanted = set(keys.removeprefix("[").split())
    if keys.startswith("["):
        assert body, "no rows"
        assert all(wanted <= set(row) for row in body)
    else:
        assert wanted <= set(body)


@pytest.mark.parametrize(("endpoint_id", "status"), REFUSED.items())
def test_refused_operations_answer_as_live(endpoint_id: str, status: int) -> None:
    ask = Asker()
    path = {"accountId": PAPER, "modelCode": "Balanced", "searchPattern": "U", "replyId": "gone"}
    bodies: dict[str, Any] = {
        "get_allocation_of_accounts": {"acctIds": [PAPER]},
        "unsubscribe_market_data": {"conid": AAPL},
        "answer_order_question": {"confirmed": True},
    }

    body = ask(endpoint_id, path=path, body=bodies.get(endpoint_id, {}))

    assert ask.status == status
    assert body


def test_a_prompt_is_answered_in_plain_text() -> None:
    ask = Asker()
    body = ask("answer_order_prompt", body={"orderId": 1, "reqId": "2", "text": "Yes"})
    assert (ask.status, ask.media) == (200, "text/plain")
    assert isinstance(body, str)


@pytest.mark.parametrize("path", ["accountId"])
@pytest.mark.parametrize("endpoint_id", [endpoint.id for endpoint in load() if "{accountId}" in endpoint.path])
def test_an_unknown_account_is_refused(endpoint_id: str, path: str) -> None:
    ask = Asker()
    body = ask(endpoint_id, path={path: LIVE, "orderId": "1", "pageId": "0", "conid": "1", "alertId": "1"}, body={})
    assert ask.status == 400
    assert body["error"].startswith("Bad Request:")


ODD: list[Any] = [None, True, -1, 1.5, 10**400, "", "x", "²", [], [[]], [None], {}, {"C": {}}, "9" * 5000]


@pytest.mark.parametrize("endpoint_id", sorted(ANSWERS))
def test_odd_parameters_never_break_an_answer(endpoint_id: str) -> None:
    world, endpoint = World(7, "paper"), load()[endpoint_id]
    for value in map(str, ODD):
        ask = Asker(world=world)
        query = dict.fromkeys((parameter.name for parameter in endpoint.query), value)
        ask(endpoint_id, path=dict.fromkeys(endpoint.path_parameters, value), body={}, **query)
        for name in endpoint.path_parameters:
            path = {"accountId": PAPER, "conid": str(AAPL), "pageId": "0", "orderId": "1200000702"} | {name: value}
            ask(endpoint_id, path=dict.fromkeys(endpoint.path_parameters, "1") | path, body={})
        assert 200 <= ask.status < 600


@pytest.mark.parametrize(
    ("endpoint_id", "arguments"), [case[:2] for case in CASES if "body" in case[1]], ids=lambda value: str(value)[:40]
)
def test_odd_bodies_never_break_an_answer(endpoint_id: str, arguments: dict[str, Any]) -> None:
    world, body = World(7, "paper"), arguments["body"]
    bodies = [*ODD, *(body | {name: value} for name in body for value in ODD)]
    for name, inner in body.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            bodies += [body | {name: [inner[0] | {key: value}]} for key in inner[0] for value in ODD]
    for odd in bodies:
        ask = Asker(world=world)
        ask("suppress_order_questions", body={"messageIds": ["o163", "o354", "o383", "o10331"]})
        ask(endpoint_id, **(arguments | {"body": odd}))
        assert 200 <= ask.status < 600
        json.dumps(ask("list_live_orders"))
        json.dumps(ask("list_live_orders"))


def test_the_same_seed_answers_the_same() -> None:
    def everything(seed: int) -> str:
        ask = Asker(seed=seed)
        return json.dumps([ask(name, **arguments) for name, arguments, _ in CASES], sort_keys=True)

    assert everything(7) == everything(7)
    assert everything(7) != everything(8)
