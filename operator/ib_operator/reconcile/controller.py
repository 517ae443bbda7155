"""All gateways under supervision, and whether their supervision is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from ib_operator.kubernetes.objects import Key, parse_pod, parse_session
from ib_operator.reconcile.reconciler import Reconciler
from ib_operator.services import Services

log = structlog.get_logger("ib_operator.reconcile.controller")

# A reconciliation waits for the sidecar, which may wait a minute for IBKR, and for the API server.
_STALLED_S = 180.0
# First polls, each with its writes, after a restart.
_SPREAD_S = 2.0
_FIRST_POLLS_PER_S = 50
# What we write into a pod comes back through the watch at once.
_WATCH_LAG_S = 60.0


class Controller:
    """Fed by the watch; one reconciler task per gateway that has a pod or a BrokerageSession."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reconcilers: dict[Key, Reconciler] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._pods: dict[str, Key] = {}
        self._sessions: dict[str, Key] = {}
        self._watched_at = asyncio.get_running_loop().time()

    @property
    def reconcilers(self) -> Mapping[Key, Reconciler]:
        return self._reconcilers

    def on_pod(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A pod as the watch shows it; ``kind`` is the watch event's type."""
        self._watched_at = asyncio.get_running_loop().time()
        read = None if kind == "DELETED" else parse_pod(body)
        if read is None:
            self._forget_pod(body["metadata"]["uid"])
            return
        key, pod = read
        self._pods[pod.uid] = key
        reconciler = self._supervise(key)
        before, reconciler.pod = reconciler.pod, pod
        if before is None or (before.uid, before.address, before.phase) != (pod.uid, pod.address, pod.phase):
            reconciler.wake()

    def on_session(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A BrokerageSession as the watch shows it."""
        uid = body["metadata"]["uid"]
        if kind == "DELETED" or body["metadata"].get("deletionTimestamp"):
            self._forget_session(uid)
            return
        try:
            key, session = parse_session(body)
        except (KeyError, TypeError):
            log.warning("a BrokerageSession cannot be read", session=body["metadata"].get("name"))
            return
        if self._sessions.get(uid, key) != key:
            self._forget_session(uid)
        self._sessions[uid] = key
        reconciler = self._supervise(key)
        before = reconciler.session
        if before is not None and before.uid != uid and before.name < session.name:
            log.warning("two BrokerageSessions name the same gateway", used=before.name, ignored=session.name)
            return
        reconciler.see(session)
        if before != session:
            reconciler.wake()

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
        written = max((one.pod_written_at or 0.0 for one in self._reconcilers.values()), default=0.0)
        if written > self._watched_at and now - written > _WATCH_LAG_S:
            return "the watch of pods does not show what was written"
        return None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _supervise(self, key: Key) -> Reconciler:
        reconciler = self._reconcilers.get(key)
        if reconciler is None:
            reconciler = self._reconcilers[key] = Reconciler(
                key,
                self._services,
                self.forget,
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
        key = self._sessions.pop(uid, None)
        reconciler = self._reconcilers.get(key) if key is not None else None
        if reconciler is not None and reconciler.session is not None and reconciler.session.uid == uid:
            reconciler.session = None
            self._end_or_wake(reconciler)

    def _end_or_wake(self, reconciler: Reconciler) -> None:
        reconciler.wake()
        if reconciler.pod is None and reconciler.session is None:
            del self._reconcilers[reconciler.key]
            self._tasks.pop(reconciler.key).cancel()
            self._services.metrics.show(reconciler.key, None)
