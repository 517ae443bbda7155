"""All gateways under supervision, and whether their supervision is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import structlog

from ib_operator.kubernetes import bodies
from ib_operator.kubernetes.api import ApiError
from ib_operator.kubernetes.names import OPERATOR
from ib_operator.kubernetes.objects import BrokerageSession, Key, parse_pod, parse_session
from ib_operator.reconcile.reconciler import Reconciler
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.reconcile.controller")

Kind = Literal["pods", "sessions"]

# A reconciliation waits for the sidecar, which may wait a minute for IBKR, and for the API server.
_STALLED_S = 180.0
# First polls, each with its writes, after a restart.
_SPREAD_S = 2.0
_FIRST_POLLS_PER_S = 50
# What we write into an object comes back through the watch at once.
_WATCH_LAG_S = 60.0


class Controller:
    """Fed by the watch; one reconciler task per gateway that has a pod or a BrokerageSession.

    Of several operators each gateway has one: it is named by a label, or else it is the release's own.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reconcilers: dict[Key, Reconciler] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._pods: dict[str, Key] = {}
        # By uid, those included that are not used.
        self._sessions: dict[str, tuple[Key, BrokerageSession]] = {}
        self._ignored: dict[str, str] = {}
        self._listed: set[tuple[Kind, str]] = set()
        now = asyncio.get_running_loop().time()
        self._watched_at: dict[Kind, float] = {"pods": now, "sessions": now}

    @property
    def reconcilers(self) -> Mapping[Key, Reconciler]:
        return self._reconcilers

    def on_object(self, kind: Kind, event: str | None, body: Mapping[str, Any]) -> None:
        """An object as the watch shows it; ``event`` is the watch event's type, None for one of a list."""
        self._watched_at[kind] = asyncio.get_running_loop().time()
        try:
            if kind == "pods":
                self._on_pod(event, body)
            else:
                self._on_session(event, body)
        except (KeyError, TypeError, AttributeError) as error:
            log.warning("an object cannot be read", kind=kind, name=_name(body), problem=repr(error))

    def on_listed(self, kind: Kind, namespace: str, uids: set[str]) -> None:
        """A list is complete: what it does not hold is gone, and the owners' word of this namespace is known."""
        for uid in [uid for uid, key in self._pods.items() if kind == "pods" and key[0] == namespace]:
            if uid not in uids:
                self._forget_pod(uid)
        for uid in [uid for uid, (key, _) in self._sessions.items() if kind == "sessions" and key[0] == namespace]:
            if uid not in uids:
                self._forget_session(uid)
        self._listed.add((kind, namespace))

    def knows_sessions(self, namespace: str) -> bool:
        """Whether no BrokerageSession of the namespace may be missing that was there at the start."""
        return not self._services.has_sessions or ("sessions", namespace) in self._listed

    def forget(self, uid: str) -> None:
        """Drop the pod or session with this uid, which the API server no longer has."""
        self._forget_pod(uid)
        self._forget_session(uid)

    def problem(self) -> str | None:
        """Why the operator should be restarted, or None."""
        now = asyncio.get_running_loop().time()
        for key, reconciler in self._reconcilers.items():
            if self._tasks[key].done() or now - reconciler.reconciled_at > _STALLED_S:
                return f"the supervision of {'/'.join(key)} stands still"
        written: dict[Kind, float] = {
            "pods": max((one.pod_written_at or 0.0 for one in self._reconcilers.values()), default=0.0),
            "sessions": max((one.session_written_at or 0.0 for one in self._reconcilers.values()), default=0.0),
        }
        for kind, at in written.items():
            if at > self._watched_at[kind] and now - at > _WATCH_LAG_S:
                return f"the watch of {kind} does not show what was written"
        return None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_pod(self, event: str | None, body: Mapping[str, Any]) -> None:
        read = None if event == "DELETED" else parse_pod(body)
        if read is None or not self._is_ours(read[0], _labels(body)):
            self._forget_pod(body["metadata"]["uid"])
            return
        key, pod = read
        self._pods[pod.uid] = key
        reconciler = self._supervise(key)
        before, reconciler.pod = reconciler.pod, pod
        if before is None or (before.uid, before.address, before.phase) != (pod.uid, pod.address, pod.phase):
            reconciler.wake()

    def _on_session(self, event: str | None, body: Mapping[str, Any]) -> None:
        uid = body["metadata"]["uid"]
        if event == "DELETED" or body["metadata"].get("deletionTimestamp"):
            self._forget_session(uid)
            return
        key, session = parse_session(body)
        if uid in self._sessions and self._sessions[uid][0] != key:
            self._forget_session(uid)
        # One without a label, which a person made, belongs to whoever has its gateway.
        is_labelled = OPERATOR in _labels(body)
        if not self._is_ours(key, _labels(body)) and (is_labelled or key not in self._reconcilers):
            self._forget_session(uid)
            return
        self._sessions[uid] = (key, session)
        self._choose(key)

    def _choose(self, key: Key) -> None:
        """Use the first by name of the gateway's sessions; the others are told so."""
        named = sorted((s for k, s in self._sessions.values() if k == key), key=lambda session: session.name)
        if not named:
            return
        used, *ignored = named
        self._ignored.pop(used.uid, None)
        reconciler = self._supervise(key)
        before = reconciler.session
        reconciler.see(used)
        if before != used:
            reconciler.wake()
        for session in ignored:
            if self._ignored.get(session.uid) != used.name:
                self._ignored[session.uid] = used.name
                self._refuse(session, used)

    def _refuse(self, session: BrokerageSession, used: BrokerageSession) -> None:
        """Say in a session's status that another one of its gateway is used."""
        log.warning("two BrokerageSessions name the same gateway", used=used.name, ignored=session.name)
        status = bodies.ignored_status(session, used, self._services.wall())

        async def write() -> None:
            try:
                await self._services.api.apply_status(session, bodies.applied(session, status))
            except ApiError as error:
                log.warning("a BrokerageSession does not say that it is not used", name=session.name, why=str(error))
                self._ignored.pop(session.uid, None)

        self._services.jobs.submit("ignored session", write, lambda _: None)

    def _is_ours(self, key: Key, labels: Mapping[str, str]) -> bool:
        name = self._services.operator
        if name is None:
            return True
        named = labels.get(OPERATOR)
        return named == name.label if named is not None else key == name.own_gateway

    def _supervise(self, key: Key) -> Reconciler:
        reconciler = self._reconcilers.get(key)
        if reconciler is None:
            reconciler = self._reconcilers[key] = Reconciler(
                key,
                self._services,
                self.forget,
                self.knows_sessions,
                min(_SPREAD_S + len(self._reconcilers) / _FIRST_POLLS_PER_S, self._services.poll_s),
            )
            self._tasks[key] = asyncio.create_task(reconciler.run(), name="/".join(key))
        return reconciler

    def _forget_pod(self, uid: str) -> None:
        key = self._pods.pop(uid, None)
        reconciler = self._reconcilers.get(key) if key is not None else None
        if reconciler is not None and reconciler.pod is not None and reconciler.pod.uid == uid:
            reconciler.pod = None
            self._end_or_wake(reconciler)

    def _forget_session(self, uid: str) -> None:
        key, _ = self._sessions.pop(uid, (None, None))
        self._ignored.pop(uid, None)
        reconciler = self._reconcilers.get(key) if key is not None else None
        if reconciler is not None and reconciler.session is not None and reconciler.session.uid == uid:
            reconciler.session = None
            self._choose(reconciler.key)
            self._end_or_wake(reconciler)

    def _end_or_wake(self, reconciler: Reconciler) -> None:
        reconciler.wake()
        if reconciler.pod is None and reconciler.session is None:
            del self._reconcilers[reconciler.key]
            self._tasks.pop(reconciler.key).cancel()
            self._services.metrics.show(reconciler.key, None)
            self._services.metrics.name(reconciler.key, "", None)


def _labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    return body["metadata"].get("labels") or {}


def _name(body: Mapping[str, Any]) -> object:
    meta = body.get("metadata")
    return meta.get("name") if isinstance(meta, Mapping) else None
