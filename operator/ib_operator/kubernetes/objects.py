"""What the operator reads of Kubernetes objects: gateway pods and BrokerageSessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ib_operator.decision import policy, spans
from ib_operator.decision.policy import Policy
from ib_operator.kubernetes.names import GATE, REQUEST

Key = tuple[str, str]
"""Namespace and name of a gateway's StatefulSet."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``since``: RFC 3339 text of the last transition, as Kubernetes holds it."""

    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A gateway pod. ``revision`` is the StatefulSet's revision it was made from, ``created_at`` epoch seconds."""

    namespace: str
    name: str
    uid: str
    address: str | None
    created_at: float
    phase: Literal["pending", "running"]
    revision: str
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class BrokerageSession:
    """A BrokerageSession; ``status`` is what Kubernetes holds, ``requested`` the annotation's text."""

    namespace: str
    name: str
    uid: str
    generation: int
    gateway: str
    policy: Policy
    requested: str | None
    status: Mapping[str, Any] = field(compare=False)

    @property
    def requested_at(self) -> float | None:
        """In whole seconds, as the status keeps the one that was served."""
        at = spans.epoch(self.requested)
        return None if at is None else float(int(at))

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about what the owner wrote and cannot be used."""
        if self.requested is None or self.requested_at is not None:
            return self.policy.problems
        return (*self.policy.problems, f"The annotation {REQUEST} is not used: give a time like 2026-01-31T18:00:00Z.")


def parse_pod(body: Mapping[str, Any]) -> tuple[Key, Pod] | None:
    """The pod and the gateway it belongs to; None for one that no StatefulSet made or that is going away."""
    meta, status = body["metadata"], body.get("status") or {}
    owner = next((one for one in meta.get("ownerReferences") or () if one.get("kind") == "StatefulSet"), None)
    if owner is None or meta.get("deletionTimestamp"):
        return None
    pod = Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        address=status.get("podIP"),
        created_at=spans.epoch(meta.get("creationTimestamp")) or 0.0,
        # A pod without an address has no process that could hold a session.
        phase="running" if status.get("podIP") and status.get("phase") == "Running" else "pending",
        revision=(meta.get("labels") or {}).get("controller-revision-hash", ""),
        condition=condition_of(status, GATE),
    )
    return (pod.namespace, owner["name"]), pod


def parse_session(body: Mapping[str, Any]) -> tuple[Key, BrokerageSession]:
    """The session and the gateway it is about. KeyError when the spec lacks what the schema demands."""
    meta, spec = body["metadata"], body["spec"]
    session = BrokerageSession(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        gateway=spec["gatewayRef"]["name"],
        policy=policy.parse(spec),
        requested=(meta.get("annotations") or {}).get(REQUEST),
        status=body.get("status") or {},
    )
    return (session.namespace, session.gateway), session


def condition_of(status: Mapping[str, Any], kind: str) -> Condition | None:
    """The condition ``kind`` in an object's status."""
    for one in status.get("conditions") or ():
        if one.get("type") == kind:
            return Condition(
                one.get("status", ""), one.get("reason", ""), one.get("message", ""), one.get("lastTransitionTime", "")
            )
    return None
