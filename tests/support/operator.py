"""An operator in front of a pretend Kubernetes and scripted gateway pods, in process, for tests in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ib_operator.app import Operator
from ib_operator.decision.spans import epoch, utc
from ib_operator.kubernetes.names import GATE
from ib_operator.settings import OperatorSettings
from ibkr.errors import IbError
from ibkr.session import Status

# A Tuesday at noon in New York: far from midnight, resets and maintenance.
NOON = epoch("2026-11-24T17:00:00Z") or 0.0
GATEWAY = "demo-ib-mcp-gateway"
ADDRESS = "10.0.0.7"
HINT = "run 'kubectl port-forward svc/demo 5000' and open http://localhost:5000"


def pod_body(name: str = GATEWAY, *, uid: str = "pod-1", address: str | None = ADDRESS, revision: str = "r1") -> Any:
    """A gateway pod as the API server shows it, an hour old."""
    return {
        "metadata": {
            "name": f"{name}-0",
            "namespace": "ns1",
            "uid": uid,
            "creationTimestamp": utc(NOON - 3600),
            "labels": {"controller-revision-hash": revision},
            "ownerReferences": [{"kind": "StatefulSet", "name": name}],
        },
        "status": {"phase": "Running", "podIP": address} if address else {"phase": "Pending"},
    }


def session_body(name: str = "demo", *, uid: str = "session-1", gateway: str = GATEWAY, **spec: Any) -> Any:
    """A BrokerageSession."""
    meta = {"name": name, "namespace": "ns1", "uid": uid, "generation": 1}
    return {"metadata": meta, "spec": {"gatewayRef": {"name": gateway}, **spec}}


@dataclass
class Sidecar:
    """A keepalive that says ``status``: a Status, or a number for a bare HTTP status, or ``"refuse"``.

    ``opens`` is what a request to open the session leads to: the next status, or the error it is refused with.
    """

    status: Any = None
    opens: Any = None
    asked: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        if self.status == "refuse":
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/status":
            self.looks.append(now)
            if isinstance(self.status, int):
                return httpx.Response(self.status)
            return httpx.Response(200, json=self.status.to_json())
        self.asked.append(now)
        if isinstance(self.opens, IbError):
            return httpx.Response(self.opens.status, json=self.opens.envelope())
        self.status = self.opens or self.status
        return httpx.Response(202, json={"accepted": True, "status": self.status.to_json()})


@dataclass
class Kubernetes:
    """Keeps what is written to pods and sessions, and the Events. ``down``: nobody answers."""

    pods: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[float, str]] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    revision: str = "r1"
    down: bool = False
    changed: Callable[[str], None] = lambda _: None

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        parts = request.url.path.split("/")
        body = json.loads(request.content) if request.content else {}
        if request.method == "GET" and "statefulsets" in parts:
            return httpx.Response(200, json={"status": {"updateRevision": self.revision}})
        self.writes.append((asyncio.get_running_loop().time(), "/".join(parts[-3:])))
        if parts[-1] == "events":
            self.events.append(body)
        elif parts[-1] == "eviction":
            self.evicted.append(parts[-2])
        else:
            kept = (self.pods if "pods" in parts else self.sessions).get(parts[-2])
            if kept is None:
                return httpx.Response(404, json={"message": "not found"})
            kept.setdefault("status", {}).update(body["status"])
            self.changed(parts[-2])
        return httpx.Response(201, json={})


@dataclass
class Operated:
    """A running operator; ``show_*`` play the watch. Accessors read what it wrote into Kubernetes."""

    operator: Operator
    kubernetes: Kubernetes
    sidecar: Sidecar
    notifications: list[httpx.Request]

    def show_pod(self, body: Any, kind: str | None = "MODIFIED") -> None:
        _keep(self.kubernetes.pods, body, kind)
        self.operator.controller.on_pod(kind, json.loads(json.dumps(body)))

    def show_session(self, body: Any, kind: str | None = "MODIFIED") -> None:
        _keep(self.kubernetes.sessions, body, kind)
        self.operator.controller.on_session(kind, json.loads(json.dumps(body)))

    def show_again(self, name: str) -> None:
        if name in self.kubernetes.pods:
            self.show_pod(self.kubernetes.pods[name])
        elif name in self.kubernetes.sessions:
            self.show_session(self.kubernetes.sessions[name])

    def specify(self, **spec: Any) -> None:
        """Change the session's spec as its owner would."""
        body = self.kubernetes.sessions["demo"]
        body["spec"] |= spec
        body["metadata"]["generation"] += 1
        self.show_session(body)

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kubernetes.sessions["demo"].get("status", {})
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        return next(one for one in self.status["conditions"] if one["type"] == kind)

    @property
    def gate(self) -> dict[str, Any]:
        conditions = self.kubernetes.pods[f"{GATEWAY}-0"]["status"].get("conditions", [])
        return next((one for one in conditions if one["type"] == GATE), {})

    async def reaches(self, phase: str, within: float = 120) -> None:
        await eventually(lambda: self.status.get("phase") == phase, within)


def _keep(kept: dict[str, Any], body: Any, kind: str | None) -> None:
    if kind == "DELETED":
        kept.pop(body["metadata"]["name"], None)
    else:
        kept[body["metadata"]["name"]] = body


@asynccontextmanager
async def operating(
    status: Any = None,
    *,
    pods: httpx.AsyncBaseTransport | None = None,
    hooks: httpx.AsyncBaseTransport | None = None,
    channels: Path | None = None,
    with_session: bool = True,
    start: float = NOON,
    reauth_per_s: float = 100,
    **spec: Any,
) -> AsyncIterator[Operated]:
    """An operator that watches one gateway in front of ``status``; the calendar follows the loop from ``start``.

    ``pods`` answers in the sidecar's place, ``hooks`` for the notifications.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    kubernetes, sidecar, notifications = Kubernetes(), Sidecar(status), []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != ADDRESS:
            notifications.append(request)
            return httpx.Response(200) if hooks is None else await hooks.handle_async_request(request)
        if pods is not None:
            return await pods.handle_async_request(request)
        return sidecar.answer(request)

    operator = Operator(
        OperatorSettings(
            namespaces=("ns1",), api_ca_file=None, api_token_file=Path("/nonexistent"), reauth_per_s=reauth_per_s,
            channels_dir=channels or Path("/nonexistent"),
        ),
        pods=httpx.MockTransport(answer),
        kubernetes=httpx.MockTransport(kubernetes.answer),
        wall=lambda: start + loop.time() - began,
        chance=lambda: 0.5,
    )  # fmt: skip
    async with operator:
        operated = Operated(operator, kubernetes, sidecar, notifications)
        # The watch shows what was written.
        kubernetes.changed = lambda name: loop.call_soon(operated.show_again, name) and None
        if with_session:
            operated.show_session(session_body(**spec), None)
        operated.show_pod(pod_body(), None)
        yield operated


def says(state: Any, **given: Any) -> Status:
    """A status that was observed this moment."""
    return Status.from_json(
        {"schema": 1, "state": state, "observed_at": NOON, "state_since": NOON, "login": {"url_hint": HINT}, **given}
    )


async def eventually(what: Callable[[], bool], within: float = 120) -> None:
    """Return as soon as ``what`` holds; TimeoutError after so many (virtual) seconds."""
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - virtual time passes only where somebody sleeps
            await asyncio.sleep(0.25)
