"""An advisor's allocation groups: how one order is split over accounts."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import bad_request, body_of, failed
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.stored import AllocationGroup

_METHODS = frozenset("AENCPRS")


def list_allocatable_accounts(world: World, call: Call) -> Answer:
    rows = []
    for account in world.accounts:
        value = world.valuation(account, call.now)
        data = [
            {"value": f"{value.net_liquidation:.2f}", "key": "NetLiquidation"},
            {"value": f"{value.available_funds:.2f}", "key": "AvailableEquity"},
        ]
        rows.append({"data": data, "name": account.id})
    return Answer({"accounts": rows})


def list_allocation_groups(world: World, call: Call) -> Answer:
    return Answer(
        {
            "data": [
                {"allocation_method": group.method, "size": len(group.accounts), "name": group.name}
                for group in world.stored.groups.values()
            ]
        }
    )


def _group_in(world: World, body: dict[str, Any]) -> AllocationGroup:
    name, method, accounts = body.get("name"), body.get("default_method"), body.get("accounts")
    if not isinstance(name, str) or not name:
        raise bad_request("name is missing")
    if not isinstance(method, str) or method not in _METHODS:
        raise bad_request("invalid default_method")
    if not isinstance(accounts, list) or not accounts or not all(isinstance(row, dict) for row in accounts):
        raise bad_request("accounts is missing")
    if any(world.account(str(row.get("name"))) is None for row in accounts):
        raise bad_request("Account is invalid")
    return AllocationGroup(name, method, accounts)


def add_allocation_group(world: World, call: Call) -> Answer:
    group = _group_in(world, body_of(call))
    world.stored.groups[group.name] = group
    return Answer({"success": True})


def modify_allocation_group(world: World, call: Call) -> Answer:
    body = body_of(call)
    group = _group_in(world, body)
    previous = str(body.get("prev_name") or group.name)
    if previous not in world.stored.groups:
        raise failed("Group not found")
    del world.stored.groups[previous]
    world.stored.groups[group.name] = group
    return Answer({"success": True})


def delete_allocation_group(world: World, call: Call) -> Answer:
    if world.stored.groups.pop(str(body_of(call).get("name")), None) is None:
        raise failed("Group not found")
    return Answer({"success": True})


def get_allocation_group(world: World, call: Call) -> Answer:
    group = world.stored.groups.get(str(body_of(call).get("name")))
    if group is None:
        raise failed("Group not found")
    return Answer({"name": group.name, "accounts": group.accounts, "default_method": group.method})


def get_allocation_presets(world: World, call: Call) -> Answer:
    return Answer(world.stored.group_presets)


def set_allocation_presets(world: World, call: Call) -> Answer:
    body = body_of(call)
    presets = world.stored.group_presets
    if set(body) != set(presets):
        raise bad_request("all five presets are needed")
    presets.update(body)
    return Answer({"success": True})


ANSWERS = {
    "list_allocatable_accounts": list_allocatable_accounts,
    "list_allocation_groups": list_allocation_groups,
    "add_allocation_group": add_allocation_group,
    "modify_allocation_group": modify_allocation_group,
    "delete_allocation_group": delete_allocation_group,
    "get_allocation_group": get_allocation_group,
    "get_allocation_presets": get_allocation_presets,
    "set_allocation_presets": set_allocation_presets,
}
