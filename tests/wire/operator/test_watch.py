"""Lists and watches at a pretended API server: each namespace by itself, and nothing done before all is known."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ib_operator.kubernetes.names import OPERATOR, PLURAL
from support.operator import GATEWAY, Operated, eventually, operating, pod_body, says, session_body

pytestmark = pytest.mark.looptime

_LOST = says("reopening", auth={"connected": True})
_TWO = {"namespaces": ("ns1", "ns2"), "deployment": "ns1/demo-ib-mcp-operator"}


def _in(namespace: str, body: dict[str, Any]) -> dict[str, Any]:
    body["metadata"]["namespace"] = namespace
    return body


def _watched(operated: Operated, namespace: str, kind: str) -> float | None:
    labels = {"namespace": namespace, "kind": kind}
    return operated.operator.metrics.registry.get_sample_value("ibmcp_operator_watched", labels)


async def test_it_is_ready_when_every_list_has_come() -> None:
    async with operating(_LOST, watching=True, with_session=False, settings=_TWO) as operated:
        operated.kubernetes.refused.add(("ns2", PLURAL))
        await eventually(lambda: _watched(operated, "ns1", "pods") == 1)
        await asyncio.sleep(300)
        assert not operated.operator.watch.is_ready
        operated.kubernetes.refused.clear()
        await eventually(lambda: operated.operator.watch.is_ready)


async def test_a_refused_list_stays_in_its_namespace_backs_off_and_is_told_once() -> None:
    async with operating(_LOST, watching=True, settings=_TWO) as operated:
        kubernetes = operated.kubernetes
        refused_at: list[float] = []
        read = kubernetes._read

        def count(namespace: str, plural: str, is_watch: bool) -> httpx.Response:
            if (namespace, plural) in kubernetes.refused:
                refused_at.append(asyncio.get_running_loop().time())
            return read(namespace, plural, is_watch)

        kubernetes._read = count  # type: ignore[method-assign]
        kubernetes.refused.add(("ns2", "pods"))
        await eventually(lambda: bool(operated.sidecar.asked))
        await asyncio.sleep(1800)
        assert _watched(operated, "ns2", "pods") == 0
        assert _watched(operated, "ns1", "pods") == 1
        # From a second's distance to a minute's.
        assert 25 <= len(refused_at) <= 50
        assert refused_at[1] - refused_at[0] < 2
        assert [one for one in kubernetes.lists if one.startswith("ns1/")] == ["ns1/pods", f"ns1/{PLURAL}"]
        told = [event for event in kubernetes.events if event["reason"] == "WatchFailed"]
        assert len(told) == 1
        assert told[0]["involvedObject"]["name"] == "demo-ib-mcp-operator"
        assert "namespace ns2" in told[0]["message"]
        assert "403" in told[0]["message"]


async def test_what_a_new_list_does_not_hold_is_gone() -> None:
    async with operating(_LOST, watching=True) as operated:
        await eventually(lambda: bool(operated.operator.controller.reconcilers))
        operated.kubernetes.pods.clear()
        operated.kubernetes.sessions.clear()
        for _, _, events in operated.kubernetes.watchers:
            events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
        await eventually(lambda: not operated.operator.controller.reconcilers)


async def test_a_watch_that_ends_goes_on_where_it_was_without_a_new_list() -> None:
    async with operating(_LOST, watching=True) as operated:
        await eventually(lambda: len(operated.kubernetes.watchers) == 2)
        operated.kubernetes.tell("pods", "BOOKMARK", {"metadata": {"namespace": "ns1", "resourceVersion": "77"}})
        for _, _, events in list(operated.kubernetes.watchers):
            events.put_nowait(None)
        await eventually(lambda: len(operated.kubernetes.watchers) == 4)
        assert len(operated.kubernetes.lists) == 2
        operated.show_pod(pod_body("other", uid="pod-2"), "ADDED")
        await eventually(lambda: ("ns1", "other") in operated.operator.controller.reconcilers)


async def test_a_server_that_is_away_for_a_while_costs_nothing_but_news() -> None:
    async with operating(says("authenticated"), watching=True) as operated:
        await operated.reaches("Authenticated")
        operated.kubernetes.down = True
        for _, _, events in list(operated.kubernetes.watchers):
            events.put_nowait(None)
        operated.sidecar.status, operated.sidecar.opens = _LOST, says("authenticated")
        await eventually(lambda: bool(operated.sidecar.asked), within=60)
        operated.kubernetes.down = False
        await eventually(lambda: _watched(operated, "ns1", "pods") == 1, within=120)
        assert not [event for event in operated.kubernetes.events if event["reason"] == "WatchFailed"]


async def test_nothing_is_opened_while_the_owners_word_cannot_be_listed() -> None:
    async with operating(_LOST, watching=True, paused=True) as operated:
        operated.kubernetes.absent.add(PLURAL)
        await asyncio.sleep(900)
        assert operated.sidecar.polls
        assert not operated.sidecar.asked
        operated.kubernetes.absent.clear()
        await eventually(lambda: operated.operator.watch.is_ready)
        await asyncio.sleep(900)
        assert not operated.sidecar.asked
        assert operated.status["phase"] == "Paused"


async def test_where_no_session_is_to_come_the_defaults_hold() -> None:
    settings = {"sessions": False}
    async with operating(_LOST, watching=True, with_session=False, settings=settings) as operated:
        operated.kubernetes.absent.add(PLURAL)
        await eventually(lambda: bool(operated.sidecar.asked))
        assert operated.operator.watch.is_ready


async def test_a_definition_that_comes_later_is_found() -> None:
    async with operating(_LOST, watching=True, paused=True) as operated:
        operated.kubernetes.absent.add(PLURAL)
        await asyncio.sleep(60)
        operated.kubernetes.absent.clear()
        await operated.reaches("Paused", within=20)


OWN = {"name": "ns1.demo-ib-mcp-operator", "own_gateway": f"ns1/{GATEWAY}", "namespaces": ("ns1", "ns2")}


@pytest.mark.parametrize(
    ("namespace", "gateway", "label", "is_ours"),
    [
        ("ns1", GATEWAY, None, True),
        ("ns1", "other-ib-mcp-gateway", None, False),
        ("ns2", GATEWAY, None, False),
        ("ns1", "other-ib-mcp-gateway", "ns1.other-ib-mcp-operator", False),
        ("ns1", GATEWAY, "ns1.other-ib-mcp-operator", False),
        ("ns2", "away-ib-mcp-gateway", "ns1.demo-ib-mcp-operator", True),
    ],
)
async def test_a_gateway_has_the_one_operator_that_it_names_or_else_its_releases_own(
    namespace: str, gateway: str, label: str | None, is_ours: bool
) -> None:
    async with operating(_LOST, watching=True, with_session=False, settings=OWN) as operated:
        operated.show_pod(pod_body(), "DELETED")
        pod = _in(namespace, pod_body(gateway, uid="pod-2"))
        session = _in(namespace, session_body("two", uid="session-2", gateway=gateway))
        for body in (pod, session):
            body["metadata"].setdefault("labels", {}).update({} if label is None else {OPERATOR: label})
        operated.show_pod(pod, "ADDED")
        operated.show_session(session, "ADDED")
        await asyncio.sleep(120)
        assert ((namespace, gateway) in operated.operator.controller.reconcilers) is is_ours
        assert bool(operated.sidecar.asked) is is_ours
        assert bool(operated.kubernetes.writes) is is_ours


async def test_a_session_that_a_person_made_belongs_to_who_has_its_gateway() -> None:
    async with operating(_LOST, watching=True, with_session=False, settings=OWN) as operated:
        operated.show_session(session_body("by-hand", paused=True), "ADDED")
        await eventually(lambda: operated.kubernetes.sessions["by-hand"].get("status", {}).get("phase") == "Paused")


async def test_of_two_sessions_for_one_gateway_the_unused_one_says_so_until_it_is_used() -> None:
    async with operating(says("authenticated"), paused=True) as operated:
        operated.show_session(session_body("extra", uid="session-2"), "ADDED")
        extra = operated.kubernetes.sessions["extra"]
        await eventually(lambda: extra.get("status", {}).get("phase") == "Ignored")
        assert extra["status"]["reason"] == "AnotherSessionIsUsed"
        assert "BrokerageSession demo is used" in extra["status"]["message"]
        await operated.reaches("Paused")
        await asyncio.sleep(900)
        assert sum("brokeragesessions/extra" in path for _, path in operated.kubernetes.writes) == 1
        operated.show_session(operated.kubernetes.sessions["demo"], "DELETED")
        await eventually(lambda: extra["status"]["phase"] == "Authenticated")


async def test_an_object_that_cannot_be_read_stops_no_watch() -> None:
    async with operating(says("authenticated"), watching=True) as operated:
        await operated.reaches("Authenticated")
        odd = session_body("odd", uid="session-9")
        del odd["spec"]["gatewayRef"]
        operated.show_session(odd, "ADDED")
        operated.show_pod(pod_body("other", uid="pod-2"), "ADDED")
        await eventually(lambda: ("ns1", "other") in operated.operator.controller.reconcilers)


async def test_a_definition_that_drops_what_is_written_is_called_old() -> None:
    async with operating(says("authenticated")) as operated:
        answer = operated.kubernetes.answer

        async def prune(request: httpx.Request) -> httpx.Response:
            response = await answer(request)
            body = response.json()
            if "notifications" in body.get("status", {}):
                body["status"].pop("notifications")
            return httpx.Response(response.status_code, json=body)

        operated.operator.api._client._transport = httpx.MockTransport(prune)
        await operated.reaches("Authenticated")
        await eventually(lambda: "DefinitionOutdated" in [event["reason"] for event in operated.kubernetes.events])
        await asyncio.sleep(900)
        told = [event for event in operated.kubernetes.events if event["reason"] == "DefinitionOutdated"]
        assert len(told) == 1
        assert "notifications" in told[0]["message"]


_WELL, _HANGING, _FLAPPING = 750, 200, 50


async def test_among_a_thousand_gateways_of_which_many_hang_no_well_one_is_misjudged() -> None:
    """With an API server that takes a second a write."""
    loop = asyncio.get_running_loop()

    async def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.host.rpartition(".")[2]) + 250 * int(request.url.host.split(".")[2])
        if request.method != "GET":
            return httpx.Response(200)
        if number < _HANGING:
            await asyncio.Event().wait()
        if number < _HANGING + _FLAPPING and int(loop.time()) // 20 % 2:
            return httpx.Response(200, json=_LOST.to_json())
        return httpx.Response(200, json=says("authenticated").to_json())

    async with operating(with_session=False) as operated:
        operated.show_pod(pod_body(), "DELETED")
        operated.operator.controller._services.pods._transport = httpx.MockTransport(answer)
        operated.kubernetes.write_s = 1.0
        for number in range(_WELL + _HANGING + _FLAPPING):
            address = f"10.0.{number // 250}.{number % 250}"
            operated.show_pod(pod_body(f"g{number}", uid=f"p-{number}", address=address), "ADDED")
        well = [f"g{number}-0" for number in range(_HANGING + _FLAPPING, 1000)]
        judged: set[str] = set()
        for _ in range(6):
            await asyncio.sleep(15)
            found = [operated.kubernetes.pods[name]["status"].get("conditions", []) for name in well]
            judged |= {one["status"] for conditions in found for one in conditions}
        assert judged == {"True"}
        assert all(found)
        assert operated.operator.controller.problem() is None
