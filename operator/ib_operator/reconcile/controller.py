"""All gateways under supervision, and whether their supervision is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from ib_operator.kubernetes.objects import Key, read_pod, read_session
from ib_operator.reconcile.reconciler import Supervisor
from ib_operator.services import Tools

log = structlog.get_logger("ib_operator.reconcile.controller")

# A turn waits for the sidecar, which may wait a minute for IBKR, and for the API server.
_STALLED_S = 180.0
# First looks, each with its writes, after a restart.
_SPREAD_S = 2.0
_FIRST_LOOKS_PER_S = 50
# What we write into a pod comes back through the watch at once.
_WATCH_LAG_S = 60.0


class Fleet:
    """Fed by the watch; one supervisor task per gateway that has a pod or a BrokerageSession."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._supervisors: dict[Key, Supervisor] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._pods: dict[str, Key] = {}
        self._sessions: dict[str, Key] = {}
        self._watched_at = asyncio.get_running_loop().time()

    @property
    def supervisors(self) -> Mapping[Key, Supervisor]:
        return self._supervisors

    def see_pod(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A pod as the watch shows it; ``kind`` is the watch event's type."""
        self._watched_at = asyncio.get_running_loop().time()
        read = None if kind == "DELETED" else read_pod(body)
        if read is None:
            self._forget_pod(body["metadata"]["uid"])
            return
        key, pod = read
        self._pods[pod.uid] = key
        supervisor = self._supervise(key)
        before, supervisor.pod = supervisor.pod, pod
        if before is None or (before.uid, before.address, before.phase) != (pod.uid, pod.address, pod.phase):
            supervisor.poke()

    def see_session(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A BrokerageSession as the watch shows it."""
        uid = body["metadata"]["uid"]
        if kind == "DELETED" or body["metadata"].get("deletionTimestamp"):
            self._forget_session(uid)
            return
        try:
            key, session = read_session(body)
        except (KeyError, TypeError):
            log.warning("a BrokerageSession cannot be read", session=body["metadata"].get("name"))
            return
        if self._sessions.get(uid, key) != key:
            self._forget_session(uid)
        self._sessions[uid] = key
        supervisor = self._supervise(key)
        before = supervisor.session
        if before is not None and before.uid != uid and before.name < session.name:
            log.warning("two BrokerageSessions name the same gateway", used=before.name, ignored=session.name)
            return
        supervisor.see(session)
        if before != session:
            supervisor.poke()

    def forget(self, uid: str) -> None:
        """Drop the pod or session with this uid, which the API server no longer has."""
        self._forget_pod(uid)
        self._forget_session(uid)

    def problem(self) -> str | None:
        """Why the operator should be restarted, or None."""
        now = asyncio.get_running_loop().time()
        for key, supervisor in self._supervisors.items():
            if self._tasks[key].done() or now - supervisor.turned_at > _STALLED_S:
                return f"the supervision of {'/'.join(key)} stands still"
        written = max((one.pod_written_at or 0.0 for one in self._supervisors.values()), default=0.0)
        if written > self._watched_at and now - written > _WATCH_LAG_S:
            return "the watch of pods does not show what was written"
        return None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _supervise(self, key: Key) -> Supervisor:
        supervisor = self._supervisors.get(key)
        if supervisor is None:
            supervisor = self._supervisors[key] = Supervisor(
                key,
                self._tools,
                self.forget,
                min(_SPREAD_S + len(self._supervisors) / _FIRST_LOOKS_PER_S, self._tools.poll_s),
            )
            self._tasks[key] = asyncio.create_task(supervisor.run(), name="/".join(key))
        return supervisor

    def _forget_pod(self, uid: str) -> None:
        key = self._pods.pop(uid, None)
        supervisor = self._supervisors.get(key) if key is not None else None
        if supervisor is not None and supervisor.pod is not None and supervisor.pod.uid == uid:
            supervisor.pod = None
            self._end_or_poke(supervisor)

    def _forget_session(self, uid: str) -> None:
        key = self._sessions.pop(uid, None)
        supervisor = self._supervisors.get(key) if key is not None else None
        if supervisor is not None and supervisor.session is not None and supervisor.session.uid == uid:
            supervisor.session = None
            self._end_or_poke(supervisor)

    def _end_or_poke(self, supervisor: Supervisor) -> None:
        supervisor.poke()
        if supervisor.pod is None and supervisor.session is None:
            del self._supervisors[supervisor.key]
            self._tasks.pop(supervisor.key).cancel()
            self._tools.metrics.show(supervisor.key, None)
