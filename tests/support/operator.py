"""An operator in front of a pretend Kubernetes and scripted gateway pods, in process, for tests in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from ib_operator.app import Operator
from ib_operator.decision.spans import epoch, utc
from ib_operator.kubernetes.names import GATE, PLURAL
from ib_operator.reconcile.controller import Kind
from ib_operator.settings import OperatorSettings
from ibkr.errors import IbError, OperationForbidden
from ibkr.session import PolicyStatus, ReauthStatus, Status

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

    ``opens`` is what a request to open the session leads to: the next status, or the error it is refused with. It
    counts and spaces requests as the keeper does. ``instance``: the uid of its pod, once it names one. ``hangs_s``:
    how long each answer takes. ``policies``: what was handed over; ``persons``: which requests were a person's;
    ``counted``: when those were that the budget counts. ``has_budget=False``: each may ask at any time.
    """

    status: Any = None
    opens: Any = None
    instance: str | None = None
    hangs_s: float = 0.0
    asked: list[float] = field(default_factory=list)
    persons: list[bool] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)
    has_budget: bool = True
    polls: list[float] = field(default_factory=list)
    policies: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if self.status == "refuse":
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/status":
            self.polls.append(asyncio.get_running_loop().time())
            if self.hangs_s:
                await asyncio.sleep(self.hangs_s)
            if isinstance(self.status, int):
                return httpx.Response(self.status)
            return httpx.Response(200, json=self._shown().to_json())
        body = json.loads(request.content)
        if request.method == "PUT":
            self.policies.append(body)
            return httpx.Response(200, json={})
        return self._open(body)

    def _open(self, body: dict[str, Any]) -> httpx.Response:
        if self.instance is not None and body["instance"] != self.instance:
            refused = OperationForbidden("This is another gateway.")
            return httpx.Response(409, json=refused.envelope())
        self.asked.append(asyncio.get_running_loop().time())
        self.persons.append(body["person"])
        if isinstance(self.opens, IbError):
            return httpx.Response(self.opens.status, json=self.opens.envelope())
        if self.has_budget and not body["person"]:
            self.counted.append(self.asked[-1])
        self.status = self.opens or self.status
        return httpx.Response(202, json={"accepted": True, "status": self._shown().to_json()})

    def _shown(self) -> Status:
        """The status with budget, policy and identity filled in."""
        now = asyncio.get_running_loop().time()
        counted = self.counted
        pause = (30.0, 60.0, 120.0, 240.0, 900.0)[min(len(counted), 5) - 1] if counted else 0.0
        allowed = counted[-1] + pause if counted else 0
        last = self.policies[-1] if self.policies else None
        wall = self.status.observed_at + now
        return replace(
            self.status,
            gateway=replace(self.status.gateway, instance=self.instance),
            reauth=ReauthStatus(
                last_at=self.status.observed_at + counted[-1] if counted else None,
                next_allowed_at=wall + allowed - now if allowed > now else None,
                attempts=len(counted),
                is_used_up=len(counted) >= min(5, 5 if last is None else (last["max_attempts"] or 5)),
            ),
            policy=PolicyStatus(**last, set_at=1.0) if last else PolicyStatus(),
        )


@dataclass
class Kubernetes:
    """Keeps what is written to pods and sessions, and the Events; lists and watches show what is kept.

    ``down``: nobody answers. ``write_s``: how long a write takes. ``refused``: (namespace, plural) that may not be
    listed; ``absent``: plurals that are not served.
    """

    pods: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[float, str]] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    watchers: list[tuple[str, str, asyncio.Queue[Any]]] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    revision: str = "r1"
    write_s: float = 0.0
    down: bool = False
    changed: Callable[[str], None] = lambda _: None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        parts = request.url.path.split("/")
        body = json.loads(request.content) if request.content else {}
        if request.method == "GET" and "statefulsets" in parts:
            return httpx.Response(200, json={"status": {"updateRevision": self.revision}})
        if request.method == "GET":
            return self._read(parts[-2], parts[-1], "watch" in request.url.params)
        if self.write_s:
            await asyncio.sleep(self.write_s)
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
            return httpx.Response(200, json=kept)
        return httpx.Response(201, json={})

    def _read(self, namespace: str, plural: str, is_watch: bool) -> httpx.Response:
        if plural in self.absent:
            return httpx.Response(404, json={"message": "the server could not find the requested resource"})
        if (namespace, plural) in self.refused:
            return httpx.Response(403, json={"message": "forbidden"})
        if is_watch:
            events: asyncio.Queue[Any] = asyncio.Queue()
            self.watchers.append((namespace, plural, events))
            return httpx.Response(200, content=_lines(events))
        self.lists.append(f"{namespace}/{plural}")
        kept = self.pods if plural == "pods" else self.sessions
        items = [one for one in kept.values() if one["metadata"]["namespace"] == namespace]
        return httpx.Response(200, json={"items": items, "metadata": {"resourceVersion": "1"}})

    def tell(self, plural: str, kind: str, body: Any) -> None:
        """An event for whoever watches."""
        for namespace, watched, events in self.watchers:
            if (namespace, watched) == (body["metadata"]["namespace"], plural):
                events.put_nowait({"type": kind, "object": body})


async def _lines(events: asyncio.Queue[Any]) -> AsyncIterator[bytes]:
    """A watch's answer; None ends it."""
    while (event := await events.get()) is not None:
        yield json.dumps(event).encode() + b"\n"


@dataclass
class Operated:
    """A running operator; ``show_*`` play the watch. Accessors read what it wrote into Kubernetes."""

    operator: Operator
    kubernetes: Kubernetes
    sidecar: Sidecar
    notifications: list[httpx.Request]
    is_watching: bool = False

    def show_pod(self, body: Any, kind: str | None = "MODIFIED") -> None:
        _keep(self.kubernetes.pods, body, kind)
        self._show("pods", kind, body)

    def show_session(self, body: Any, kind: str | None = "MODIFIED") -> None:
        _keep(self.kubernetes.sessions, body, kind)
        self._show("sessions", kind, body)

    def _show(self, what: Kind, kind: str | None, body: Any) -> None:
        if self.is_watching:
            self.kubernetes.tell("pods" if what == "pods" else PLURAL, kind or "ADDED", body)
        else:
            self.operator.controller.on_object(what, kind, json.loads(json.dumps(body)))

    def show_again(self, name: str) -> None:
        if name in self.kubernetes.pods:
            self.show_pod(self.kubernetes.pods[name])
        elif name in self.kubernetes.sessions:
            self.show_session(self.kubernetes.sessions[name])

    @property
    def uids(self) -> list[str]:
        return [one["metadata"]["uid"] for one in self.kubernetes.sessions.values()]

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
    lists_sessions: bool = True,
    watching: bool = False,
    settings: dict[str, Any] | None = None,
    **spec: Any,
) -> AsyncIterator[Operated]:
    """An operator that watches one gateway in front of ``status``; the calendar follows the loop from ``start``.

    ``pods`` answers in the sidecar's place, ``hooks`` for the notifications. ``lists_sessions=False``: the sessions of
    its namespace are not known yet. ``watching``: it watches by itself instead of being shown objects.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    kubernetes, sidecar, notifications = Kubernetes(), Sidecar(status), []

    async def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.host.startswith("10.0."):
            notifications.append(request)
            return httpx.Response(200) if hooks is None else await hooks.handle_async_request(request)
        if pods is not None:
            return await pods.handle_async_request(request)
        return await sidecar.answer(request)

    operator = Operator(
        OperatorSettings(
            **{
                "namespaces": ("ns1",),
                "api_ca_file": None,
                "api_token_file": Path("/nonexistent"),
                "reauth_per_s": reauth_per_s,
                "channels_dir": channels or Path("/nonexistent"),
                **(settings or {}),
            }
        ),
        pods=httpx.MockTransport(answer),
        kubernetes=httpx.MockTransport(kubernetes.answer),
        wall=lambda: start + loop.time() - began,
        chance=lambda: 0.5,
    )  # fmt: skip
    async with operator:
        operated = Operated(operator, kubernetes, sidecar, notifications, watching)
        # The watch shows what was written.
        kubernetes.changed = lambda name: loop.call_soon(operated.show_again, name) and None
        if with_session:
            operated.show_session(session_body(**spec), None)
        operated.show_pod(pod_body(), None)
        if watching:
            watch = asyncio.create_task(operator.watch.run())
            try:
                yield operated
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
            return
        if lists_sessions:
            operator.controller.on_listed("sessions", "ns1", set(operated.uids))
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
