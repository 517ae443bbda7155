"""The metrics of one keepalive process; a registry of its own per object, so tests do not share counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ibkr.session import SessionState, TrafficStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """``ibmcp_*`` collectors. ``operation`` is a catalogue id; no label ever holds account data."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.session_state = Gauge(
            "ibmcp_session_state", "1 for the state the session is in, 0 for the others", ["state"], registry=registry
        )
        self.session_authenticated = Gauge(
            "ibmcp_session_authenticated", "1 while the brokerage session is open", registry=registry
        )
        self.tickle = Counter("ibmcp_tickle", "Keep-alive calls to the gateway", ["result"], registry=registry)
        self.tickle_last_success = Gauge(
            "ibmcp_tickle_last_success_timestamp_seconds", "When the last tickle succeeded", registry=registry
        )
        self.reauth = Counter("ibmcp_reauth", "Attempts to open the brokerage session", ["result"], registry=registry)
        self.openings = Counter(
            "ibmcp_openings", "Ways of opening the brokerage session by how each ended", ["rung", "result"],
            registry=registry,
        )  # fmt: skip
        self.upstream_requests = Counter(
            "ibmcp_upstream_requests", "Requests sent to the gateway", ["operation", "status"], registry=registry
        )
        self.upstream_seconds = Histogram(
            "ibmcp_upstream_request_seconds",
            "Time the gateway took to answer",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.upstream_in_flight = Gauge(
            "ibmcp_upstream_in_flight", "Requests the gateway has not answered yet", registry=registry
        )
        self.pacing_wait_seconds = Histogram(
            "ibmcp_pacing_wait_seconds",
            "Time a call waited for its turn",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.pacing_queue_depth = Gauge("ibmcp_pacing_queue_depth", "Calls waiting for their turn", registry=registry)
        self.answers = Counter("ibmcp_answers", "Answers given to callers", ["source"], registry=registry)
        self.orders = Counter("ibmcp_orders", "Orders by what became of them", ["outcome"], registry=registry)
        self.order_refusals = Counter(
            "ibmcp_order_refusals", "Orders and previews that a limit refused", ["limit"], registry=registry
        )
        self.stream_topics = Gauge("ibmcp_stream_topics", "Streaming topics subscribed upstream", registry=registry)
        # Looking one up by its labels takes longer than counting.
        self._of_upstream: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self.show_state(SessionState.STARTING)

    def note_upstream(self, operation: str, status: str, seconds: float) -> None:
        """A request to the gateway ended so, after ``seconds``."""
        found = self._of_upstream.get((operation, status))
        if found is None:
            found = self.upstream_requests.labels(operation, status), self.upstream_seconds.labels(operation)
            self._of_upstream[operation, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def show_state(self, state: SessionState) -> None:
        for each in SessionState:
            self.session_state.labels(each).set(each is state)
        self.session_authenticated.set(state is SessionState.AUTHENTICATED)

    def traffic(self) -> TrafficStatus:
        """What ``/status`` tells of it."""
        (answers,) = self.answers.collect()
        (sent,) = self.upstream_requests.collect()
        (waiting,) = self.pacing_queue_depth.collect()
        return TrafficStatus(
            sent=int(sum(one.value for one in sent.samples if one.name.endswith("_total"))),
            waiting=int(waiting.samples[0].value),
            answers={one.labels["source"]: int(one.value) for one in answers.samples if one.name.endswith("_total")},
        )

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
