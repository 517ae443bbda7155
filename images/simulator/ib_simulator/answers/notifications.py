"""Notifications and how they are delivered (``/fyi``). The first question of a session finds them cold."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import as_number, bad_request, body_of, failed, required
from ib_simulator.call import Answer, Call, Refusal
from ib_simulator.world import World
from ib_simulator.world.stored import TYPECODES, Notification

MAX_NOTIFICATIONS = 10


def _warm(world: World, call: Call) -> None:
    """Refuse once per session, in the way that the world is set to: 423, 503 or not at all."""
    if call.memory.notes.get("fyi_warm"):
        return
    call.memory.notes["fyi_warm"] = True
    if world.cold_notifications == 423:
        raise Refusal(423, {"status": "waiting for reply"})
    if world.cold_notifications == 503:
        raise failed("Service Unavailable", 503)


def count_unread_notifications(world: World, call: Call) -> Answer:
    _warm(world, call)
    return Answer({"BN": sum(not notification.read for notification in world.stored.notifications)})


def list_notifications(world: World, call: Call) -> Answer:
    count = as_number(required(call, "max"))
    if count is None or not 1 <= count <= MAX_NOTIFICATIONS:
        raise bad_request(f"max must be 1 to {MAX_NOTIFICATIONS}")
    _warm(world, call)
    found = _selected(world, call)
    after = call.query.get("id")
    if after:
        found = _after(found, after)
    return Answer([_row(notification, call.now) for notification in found[:count]])


def list_more_notifications(world: World, call: Call) -> Answer:
    _warm(world, call)
    found = _after(_selected(world, call), call.query.get("id", ""))
    return Answer([_row(notification, call.now) for notification in found[:MAX_NOTIFICATIONS]])


def _selected(world: World, call: Call) -> list[Notification]:
    include = {code for code in call.query.get("include", "").split(",") if code}
    exclude = {code for code in call.query.get("exclude", "").split(",") if code}
    return [
        notification
        for notification in world.stored.notifications
        if (not include or notification.code in include) and notification.code not in exclude
    ]


def _after(notifications: list[Notification], notification_id: str) -> list[Notification]:
    places = [place for place, one in enumerate(notifications) if one.id == notification_id]
    return notifications[places[0] + 1 :] if places else []


def _row(notification: Notification, now: float) -> dict[str, Any]:
    return {
        "R": int(notification.read),
        "D": f"{int(now - notification.days_ago * 86400)}.0",
        "MS": notification.title,
        "MD": notification.html,
        "ID": notification.id,
        "HT": 0,
        "FC": notification.code,
    }


def mark_notification_read(world: World, call: Call) -> Answer:
    found = [one for one in world.stored.notifications if one.id == call.path["notificationId"]]
    for notification in found:
        notification.read = True
    return Answer({"V": 1, "T": 5, "P": {"R": 1, "ID": call.path["notificationId"]}})


def list_fyi_settings(world: World, call: Call) -> Answer:
    muted, accepted = world.stored.muted, world.stored.accepted
    return Answer(
        [
            {
                "FC": code,
                "H": int(code in accepted),
                "FD": f"Tell me about: {title.lower()}.",
                "FN": title,
                **({} if code == "SM" else {"A": int(code not in muted)}),
            }
            for code, title in TYPECODES.items()
        ]
    )


def set_fyi_setting(world: World, call: Call) -> Answer:
    enabled = body_of(call).get("enabled")
    if not isinstance(enabled, bool):
        raise bad_request("enabled must be true or false")
    if enabled:
        world.stored.muted.discard(call.path["typecode"])
    else:
        world.stored.muted.add(call.path["typecode"])
    return _done()


def get_fyi_disclaimer(world: World, call: Call) -> Answer:
    text = "This message informs you; it is not advice to buy, sell or hold anything."
    return Answer({"DT": text, "FC": call.path["typecode"]})


def accept_fyi_disclaimer(world: World, call: Call) -> Answer:
    world.stored.accepted.add(call.path["typecode"])
    return _done()


def list_delivery_options(world: World, call: Call) -> Answer:
    return Answer({"M": int(world.stored.email), "E": list(world.stored.devices.values())})


def set_email_delivery(world: World, call: Call) -> Answer:
    enabled = required(call, "enabled").lower()
    if enabled not in {"true", "false"}:
        raise bad_request("enabled must be true or false")
    world.stored.email = enabled == "true"
    return _done()


def add_delivery_device(world: World, call: Call) -> Answer:
    body = body_of(call)
    if not all(body.get(name) for name in ("deviceName", "deviceId")):
        raise bad_request("deviceName and deviceId are needed")
    world.stored.devices[str(body["deviceId"])] = {
        "NM": body["deviceName"],
        "I": body["deviceId"],
        "UI": body.get("uiName"),
        "A": int(bool(body.get("enabled", True))),
    }
    return _done()


def delete_delivery_device(world: World, call: Call) -> Answer:
    if world.stored.devices.pop(call.path["deviceId"], None) is None:
        return Answer("<html><body>Not Found</body></html>", status=404, media="text/html")
    return Answer("", media="text/plain")


def _done() -> Answer:
    return Answer({"V": 1, "T": 10})


ANSWERS = {
    "count_unread_notifications": count_unread_notifications,
    "list_notifications": list_notifications,
    "list_more_notifications": list_more_notifications,
    "mark_notification_read": mark_notification_read,
    "list_fyi_settings": list_fyi_settings,
    "set_fyi_setting": set_fyi_setting,
    "get_fyi_disclaimer": get_fyi_disclaimer,
    "accept_fyi_disclaimer": accept_fyi_disclaimer,
    "list_delivery_options": list_delivery_options,
    "set_email_delivery": set_email_delivery,
    "add_delivery_device": add_delivery_device,
    "delete_delivery_device": delete_delivery_device,
}
