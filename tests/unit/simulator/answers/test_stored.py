"""What the user keeps at the broker: watchlists, alerts, notifications, groups and models."""

from __future__ import annotations

from typing import Any

import pytest

from ib_simulator.world import World
from support.simulator import AAPL, LIVE, PAPER, Asker

ALERT = {
    "alertName": "AAPL",
    "alertMessage": "up",
    "alertRepeatable": 0,
    "outsideRth": 0,
    "tif": "GTC",
    "conditions": [
        {"conidex": "265598@SMART", "logicBind": "n", "operator": ">=", "triggerMethod": "0", "type": 1, "value": "300"}
    ],
}


def test_a_watchlist_is_made_read_overwritten_and_deleted() -> None:
    ask = Asker()
    ask("save_watchlist", body={"id": "7", "name": "Mine", "rows": [{"C": AAPL}, {"H": ""}, {"C": 999}]})
    assert [row["id"] for row in ask("list_watchlists")["data"]["user_lists"]] == ["100", "101", "7"]
    assert ask("get_watchlist", id="7")["instruments"][0] == {"C": str(AAPL), "conid": AAPL, "name": None}
    rows = ask("get_watchlist", id="7")["instruments"]
    assert (rows[0]["ticker"], rows[1], rows[2]["C"]) == ("AAPL", {"H": ""}, "999")
    ask("save_watchlist", body={"id": "7", "name": "Other", "rows": [{"C": 8314}]})
    assert ask("get_watchlist", id="7")["name"] == "Other"
    assert len(ask("get_watchlist", id="7")["instruments"]) == 1
    ask("delete_watchlist", id="7")
    ask("get_watchlist", id="7")
    assert ask.status == 400
    ask("delete_watchlist", id="7")
    assert ask.status == 200


@pytest.mark.parametrize(
    "body",
    [None, {"id": "x", "name": "a", "rows": []}, {"id": "1", "rows": []}, {"id": "1", "name": "a", "rows": [1]}],
    ids=str,
)
def test_a_malformed_watchlist_is_refused(body: Any) -> None:
    ask = Asker()
    ask("save_watchlist", body=body)
    assert ask.status == 400


def test_what_is_stored_outlives_a_brokerage_session() -> None:
    world = World(7, "paper")
    Asker(world=world)("save_watchlist", body={"id": "7", "name": "Mine", "rows": []})
    assert Asker(world=world)("get_watchlist", id="7")["name"] == "Mine"


def test_an_alert_is_made_changed_switched_and_deleted() -> None:
    ask = Asker("live")
    path = {"accountId": LIVE}
    order_id = ask("save_alert", path=path, body=ALERT)["order_id"]
    assert ask("save_alert", path=path, body=ALERT | {"orderId": order_id, "alertMessage": "more"})["success"]
    details = ask("get_alert", path={"alertId": str(order_id)}, type="Q")
    assert (details["alert_message"], details["conditions"][0]["contract_description_1"]) == ("more", "AAPL")
    ask("save_alert", path=path, body=ALERT | {"orderId": order_id, "alertName": "renamed"})
    assert ask.status == 500
    ask("activate_alert", path=path, body={"alertId": order_id, "alertActive": 0})
    assert {row["order_id"]: row["alert_active"] for row in ask("list_alerts", path=path)}[order_id] == 0
    ask("delete_alert", path=path | {"alertId": str(order_id)}, body={})
    assert "error" in ask("get_alert", path={"alertId": str(order_id)}, type="Q")
    assert ask.status == 200
    ask("delete_alert", path=path | {"alertId": str(order_id)}, body={})
    assert ask.status == 500


def test_alert_zero_deletes_all_of_them() -> None:
    ask = Asker()
    ask("delete_alert", path={"accountId": PAPER, "alertId": "0"}, body={})
    assert ask("list_alerts", path={"accountId": PAPER}) == []


def test_a_paper_account_makes_no_alerts() -> None:
    ask = Asker()
    ask("save_alert", path={"accountId": PAPER}, body=ALERT)
    assert ask.status == 403


@pytest.mark.parametrize("missing", ["alertName", "conditions", "tif"])
def test_an_incomplete_alert_is_refused(missing: str) -> None:
    ask = Asker("live")
    ask("save_alert", path={"accountId": LIVE}, body={name: ALERT[name] for name in ALERT if name != missing})
    assert ask.status == 400


def test_the_mobile_alert_is_known_by_its_tool_only() -> None:
    ask = Asker()
    first, second = ask("get_mobile_alert"), ask("get_mobile_alert")
    assert first["order_id"] != second["order_id"]
    assert first["tool_id"] == second["tool_id"]


@pytest.mark.parametrize("status", [423, 503])
def test_notifications_are_cold_at_first(status: int) -> None:
    ask = Asker()
    ask.world.cold_notifications = status
    ask("count_unread_notifications")
    assert ask.status == status
    assert ask("count_unread_notifications") == {"BN": 3}
    ask("list_notifications", max=5)
    assert ask.status == 200


def test_notifications_are_read_filtered_and_paged() -> None:
    ask = Asker()
    ask.world.cold_notifications = 0
    rows = ask("list_notifications", max=2)
    assert len(rows) == 2
    more = ask("list_more_notifications", id=rows[-1]["ID"])
    assert len(more) == 3
    assert not {row["ID"] for row in rows} & {row["ID"] for row in more}
    assert [row["FC"] for row in ask("list_notifications", max=10, include="EA,SM")] == ["EA", "SM"]
    assert "EA" not in [row["FC"] for row in ask("list_notifications", max=10, exclude="EA")]
    ask("mark_notification_read", path={"notificationId": rows[0]["ID"]})
    assert ask("list_notifications", max=1)[0]["R"] == 1
    assert ask("count_unread_notifications") == {"BN": 2}
    ask("list_notifications", max=11)
    assert ask.status == 400


def test_settings_and_devices_are_kept() -> None:
    ask = Asker()
    ask("set_fyi_setting", path={"typecode": "EA"}, body={"enabled": False})
    settings = {row["FC"]: row for row in ask("list_fyi_settings")}
    assert settings["EA"]["A"] == 0
    assert "A" not in settings["SM"]
    ask("add_delivery_device", body={"deviceName": "phone", "deviceId": "d1", "enabled": True})
    ask("set_email_delivery", enabled="false")
    body = ask("list_delivery_options")
    assert (body["M"], [row["NM"] for row in body["E"]]) == (0, ["phone"])
    assert ask("delete_delivery_device", path={"deviceId": "d1"}) == ""
    assert "<html>" in ask("delete_delivery_device", path={"deviceId": "d1"})
    assert ask.status == 404


def test_groups_are_kept_and_renamed() -> None:
    ask = Asker()
    group = {"name": "Half", "accounts": [{"name": PAPER, "amount": 1}], "default_method": "S"}
    ask("add_allocation_group", body=group)
    ask("modify_allocation_group", body=group | {"name": "Whole", "prev_name": "Half"})
    assert {row["name"] for row in ask("list_allocation_groups")["data"]} == {"All equal", "Whole"}
    assert ask("get_allocation_group", body={"name": "Whole"})["accounts"] == group["accounts"]
    ask("delete_allocation_group", body={"name": "Half"})
    assert ask.status == 500


@pytest.mark.parametrize(
    "change", [{"default_method": "Z"}, {"default_method": []}, {"accounts": [{"name": LIVE}]}, {"name": ""}], ids=str
)
def test_a_malformed_group_is_refused(change: dict[str, Any]) -> None:
    ask = Asker()
    ask("add_allocation_group", body={"name": "A", "accounts": [{"name": PAPER}], "default_method": "E"} | change)
    assert ask.status == 400


def test_an_unknown_model_is_empty_rather_than_an_error() -> None:
    ask = Asker()
    asked = {"reqID": 1, "model": "No such"}
    assert ask("list_model_positions", body=asked)["positionList"] == []
    assert ask("list_model_accounts", body=asked)["accountInfoList"] == []
    assert "desc" not in ask("get_model_summary", body=asked)
    assert ask.status == 200


def test_a_model_is_kept() -> None:
    ask = Asker()
    ask("save_model", body={"reqID": 1, "model": "Tech", "positionTargets": [{"conid": AAPL, "target": 0.7}]})
    rows = ask("list_model_positions", body={"reqID": 2, "model": "Tech"})["positionList"]
    assert [(row["instrument"], row["target"]) for row in rows] == [("AAPL", "0.7")]
    assert "Tech" in [row["model"] for row in ask("list_models", body={"reqID": 3})["models"]]
