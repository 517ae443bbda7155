"""The operator and the chart's objects against a real API server, acting as the operator's own account."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ib_operator.app import Operator
from ib_operator.kubernetes.names import GATE
from ib_operator.settings import OperatorSettings
from support import api_server
from support.api_server import ApiServer, Runner
from support.operator import Sidecar, says

NAMESPACE = "ns1"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:demo-ib-mcp-operator"
OPTIONS = ("--set=operator.enabled=true,simulator.enabled=true,operator.admissionPolicy.enabled=true",)
POD = f"/api/v1/namespaces/{NAMESPACE}/pods/demo-ib-mcp-gateway-0"
SESSIONS = f"/apis/ib-mcp.dev/v1alpha1/namespaces/{NAMESPACE}/brokeragesessions"
SESSION = f"{SESSIONS}/demo"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/brokeragesessions.ib-mcp.dev"
_APPLIED = (
    "CustomResourceDefinition", "Role", "RoleBinding", "ClusterRole",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, Runner]]:
    with api_server.running(tmp_path_factory.mktemp("api"), {"operator": ACCOUNT}) as (api, runner):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        api.apply(*(one for one in api_server.rendered(NAMESPACE, *OPTIONS) if one["kind"] in _APPLIED))
        yield api, runner


@pytest.fixture
def api(server: tuple[ApiServer, Runner]) -> Iterator[ApiServer]:
    """The server with a gateway pod and a BrokerageSession, freshly made."""
    api = server[0]
    eventually(lambda: api.admin.get(SESSIONS).is_success)
    eventually(lambda: _apply_session(api))
    api.apply(_pod())
    yield api
    api.admin.request("DELETE", POD, content='{"gracePeriodSeconds": 0}')
    api.admin.delete(SESSION)


def _apply_session(api: ApiServer) -> bool:
    session = next(one for one in api_server.rendered(NAMESPACE, *OPTIONS) if one["kind"] == "BrokerageSession")
    try:
        api.apply(session)
    except AssertionError:
        return False
    return True


def _pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "demo-ib-mcp-gateway-0",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/component": "gateway", "app.kubernetes.io/part-of": "ib-mcp"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-ib-mcp-gateway", "uid": "1"}
            ],
        },
        "spec": {"containers": [{"name": "gateway", "image": "none"}], "readinessGates": [{"conditionType": GATE}]},
    }


def eventually(what: Callable[[], Any], within: float = 60) -> Any:
    deadline = time.monotonic() + within
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


@asynccontextmanager
async def operating(api: ApiServer, sidecar: Sidecar) -> AsyncIterator[Operator]:
    settings = OperatorSettings(
        namespaces=(NAMESPACE,),
        api_url=api.url,
        api_ca_file=api.ca_file,
        api_token_file=api.token_file("operator"),
        poll_s=0.5,
    )
    async with Operator(settings, pods=httpx.MockTransport(sidecar.answer), chance=lambda: 0.0) as operator:
        watching = asyncio.create_task(operator.watch.run())
        try:
            yield operator
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def reaches(api: ApiServer, phase: str) -> dict[str, Any]:
    def look() -> Any:
        answer = api.admin.get(SESSION)
        status = answer.json().get("status", {}) if answer.is_success else {}
        return status if status.get("phase") == phase else None

    found: dict[str, Any] = await asyncio.to_thread(eventually, look)
    return found


def _run_pod(api: ApiServer) -> None:
    api.set_status(POD, {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "conditions": [
        {"type": "ContainersReady", "status": "True"}]})  # fmt: skip


async def test_the_state_is_written_beside_what_kubelet_wrote(api: ApiServer) -> None:
    _run_pod(api)
    sidecar = Sidecar(says("login_required"))
    async with operating(api, sidecar):
        await reaches(api, "AwaitingLogin")
        sidecar.status = says("authenticated", mode="paper")
        status = await reaches(api, "Authenticated")
    assert status["mode"] == "paper"
    assert status["observedGeneration"] == 1
    conditions = {one["type"]: one["status"] for one in api.get(POD)["status"]["conditions"]}
    assert conditions == {"ContainersReady": "True", GATE: "True"}
    body = api.get(SESSION)
    assert "finalizers" not in body["metadata"]
    assert not [name for name in body["metadata"].get("annotations", {}) if "kopf" in name]
    events = api.get(f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
    reasons = sorted(one["reason"] for one in events if one["involvedObject"]["uid"] == body["metadata"]["uid"])
    assert reasons == ["LoginRequired", "SessionOpen"]


async def test_kubectl_shows_the_state_in_columns(api: ApiServer) -> None:
    _run_pod(api)
    async with operating(api, Sidecar(says("competing", mode="live"))):
        await reaches(api, "Competing")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = api.admin.get(SESSIONS, headers={"Accept": accept}).json()
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names == ["Name", "Phase", "Authenticated", "Mode", "Since", "Age", "Pod", "Message"]
    assert table["rows"][0]["cells"][:4] == ["demo", "Competing", "False", "live"]


async def test_a_definition_that_goes_and_comes_back_is_served_again(api: ApiServer) -> None:
    _run_pod(api)
    async with operating(api, Sidecar(says("authenticated"))) as operator:
        await reaches(api, "Authenticated")
        api.admin.delete(DEFINITION)
        # A session without finalizers hangs nowhere, so the definition goes at once.
        await asyncio.to_thread(eventually, lambda: api.admin.get(DEFINITION).status_code == 404)
        objects = api_server.rendered(NAMESPACE, *OPTIONS)
        api.apply(*(one for one in objects if one["kind"] == "CustomResourceDefinition"))
        await asyncio.to_thread(eventually, lambda: _apply_session(api))
        await reaches(api, "Authenticated")
        assert operator.controller.problem() is None


async def test_a_stopped_api_server_is_survived(server: tuple[ApiServer, Runner], api: ApiServer) -> None:
    _run_pod(api)
    sidecar = Sidecar(says("login_required"))
    async with operating(api, sidecar) as operator:
        await reaches(api, "AwaitingLogin")
        await asyncio.to_thread(server[1].stop_server)
        looks = len(sidecar.polls)
        sidecar.status = says("authenticated")
        await asyncio.to_thread(eventually, lambda: len(sidecar.polls) > looks + 3)
        await asyncio.to_thread(server[1].start_server)
        await reaches(api, "Authenticated")
        assert operator.controller.problem() is None


def test_the_role_is_what_is_documented() -> None:
    (role,) = (one for one in api_server.rendered(NAMESPACE, *OPTIONS) if one["kind"] == "Role")
    rules = [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in role["rules"]]
    assert rules == [
        ([""], ["pods"], ["list", "watch"]),
        ([""], ["pods/status"], ["patch"]),
        ([""], ["events"], ["create"]),
        (["ib-mcp.dev"], ["brokeragesessions"], ["list", "watch"]),
        (["ib-mcp.dev"], ["brokeragesessions/status"], ["patch"]),
        ([""], ["pods/eviction"], ["create"]),
    ]


def test_the_right_to_see_which_pods_are_outdated_comes_with_the_policy_only() -> None:
    option = "--set=operator.rollout.policy=WhenIdle"
    (role,) = (one for one in api_server.rendered(NAMESPACE, *OPTIONS, option) if one["kind"] == "Role")
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"][6:]] == [(["statefulsets"], ["get"])]


_ELSEWHERE = [
    ("GET", POD), ("DELETE", POD), ("PATCH", POD), ("POST", f"{POD}/exec?command=sh"), ("POST", f"{POD}/portforward"),
    ("GET", f"{POD}/log"), ("GET", f"{POD}/proxy/"),
    ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"), ("GET", f"/api/v1/namespaces/{NAMESPACE}/events"),
    ("GET", SESSION), ("PATCH", SESSION), ("DELETE", SESSION), ("POST", SESSIONS), ("GET", DEFINITION),
    ("GET", "/api/v1/namespaces"), ("GET", "/api/v1/pods"), ("GET", "/api/v1/namespaces/default/pods"),
    ("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"), ("GET", "/api/v1/nodes"),
]  # fmt: skip


def _as_operator(api: ApiServer, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    headers = {"Authorization": "Bearer token-of-operator", "Content-Type": kind}
    return api.admin.request(method, path, content=json.dumps(body or {}), headers=headers)


def test_everything_else_is_forbidden(api: ApiServer) -> None:
    merge = "application/merge-patch+json"
    found = {
        (method, path): _as_operator(api, method, path, kind=merge if method == "PATCH" else "application/json")
        for method, path in _ELSEWHERE
    }
    assert {key: answer.status_code for key, answer in found.items()} == dict.fromkeys(_ELSEWHERE, 403)


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({"conditions": [{"type": GATE, "status": "True"}]}, True),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, False),
        ({"conditions": [{"type": "ContainersReady", "status": "False"}]}, False),
        ({"podIP": "10.0.0.8"}, False),
        ({"phase": "Failed"}, False),
    ],
)
def test_with_the_admission_policy_the_operator_changes_its_own_condition_only(
    api: ApiServer, status: dict[str, Any], allowed: bool
) -> None:
    _run_pod(api)

    def patch() -> Any:
        return _as_operator(api, "PATCH", f"{POD}/status", {"status": status}, "application/strategic-merge-patch+json")

    if allowed:
        assert patch().status_code == 200
    else:
        # A policy takes a moment to be in force.
        answer = eventually(lambda: found if (found := patch()).status_code != 200 else _run_pod(api))
        assert answer.status_code == 422
        assert "The operator may" in answer.text


def test_with_the_admission_policy_other_pods_are_out_of_reach(api: ApiServer) -> None:
    other = _pod()
    other["metadata"] = {"name": "other", "namespace": NAMESPACE}
    api.apply(other)
    body = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/other/status"
    answer = _as_operator(api, "PATCH", path, body, "application/strategic-merge-patch+json")
    assert answer.status_code == 422
    assert "gateway pods only" in answer.text


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"gatewayRef": {"name": "another"}}, "gatewayRef cannot change"),
        ({"reauth": {"maxAttempts": -1}}, "maxAttempts"),
        ({"reauth": {"enabled": False, "compete": True}}, "compete has no effect while enabled is false"),
        ({"rollout": {"policy": "Sometimes"}}, "policy"),
        ({"quietHours": {"start": "22:00", "end": "22:00", "timeZone": "UTC"}}, "start and end are the same"),
        ({"maintenanceWindows": [{"start": "9", "end": "10:00", "timeZone": "UTC"}]}, "start"),
        ({"notifications": [{"name": "x", "type": "pigeon", "secretRef": {"name": "y"}}]}, "type"),
    ],
)
def test_a_wrong_spec_is_refused_with_a_sentence(api: ApiServer, spec: dict[str, Any], sentence: str) -> None:
    answer = api.admin.patch(
        SESSION, content=json.dumps({"spec": spec}), headers={"Content-Type": "application/merge-patch+json"}
    )
    assert answer.status_code == 422
    assert sentence in answer.json()["message"]
