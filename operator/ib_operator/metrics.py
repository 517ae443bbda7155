"""The operator's metrics; a registry of its own per object, so tests do not share counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ib_operator.decision.states import Phase


class Metrics:
    """``ibmcp_operator_*`` collectors; no label holds account data."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.gateways = Gauge("ibmcp_operator_gateways", "Gateways by phase", ["phase"], registry=registry)
        self.transitions = Counter(
            "ibmcp_operator_transitions", "Changes of phase or reason", ["phase", "reason"], registry=registry
        )
        self.polls = Counter("ibmcp_operator_polls", "Polls of gateways", ["result"], registry=registry)
        self.poll_seconds = Histogram(
            "ibmcp_operator_poll_seconds",
            "Time that /status took",
            buckets=(0.005, 0.02, 0.1, 0.5, 1, 5),
            registry=registry,
        )
        self.reauth = Counter(
            "ibmcp_operator_reauth", "Requests to open a session again", ["attempt", "result"], registry=registry
        )
        self.writes = Counter(
            "ibmcp_operator_writes", "Requests that change Kubernetes objects", ["object", "result"], registry=registry
        )
        self.watched = Gauge(
            "ibmcp_operator_watched",
            "Whether a kind of a namespace is watched: 1, or 0 while that fails",
            ["namespace", "kind"],
            registry=registry,
        )
        self.notifications = Counter(
            "ibmcp_operator_notifications", "Messages by channel", ["channel", "result"], registry=registry
        )
        self.authenticated = Gauge(
            "ibmcp_operator_authenticated",
            "Whether the session of a gateway is open, with the name of its BrokerageSession",
            ["namespace", "gateway", "session"],
            registry=registry,
        )
        self._shown: dict[object, Phase] = {}
        self._named: dict[tuple[str, str], str] = {}
        for phase in Phase:
            self.gateways.labels(phase.value).set(0)

    def show(self, gateway: object, phase: Phase | None) -> None:
        """Count ``gateway`` under ``phase``, or no longer."""
        before = self._shown.pop(gateway, None)
        if before is not None:
            self.gateways.labels(before.value).dec()
        if phase is not None:
            self._shown[gateway] = phase
            self.gateways.labels(phase.value).inc()

    def name(self, gateway: tuple[str, str], session: str, is_open: bool | None) -> None:
        """Say whether the session of ``gateway`` (namespace and name) is open; None: it is watched no longer."""
        before = self._named.pop(gateway, None)
        if before is not None and (before != session or is_open is None):
            self.authenticated.remove(*gateway, before)
        if is_open is not None:
            self._named[gateway] = session
            self.authenticated.labels(*gateway, session).set(is_open)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
