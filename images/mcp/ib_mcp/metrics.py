"""Prometheus metrics of the MCP server; never an account number in a label."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Histogram

TOOL_CALLS = Counter("ibmcp_tool_calls", "Tool calls by outcome (ok or an error code).", ["tool", "outcome"])
TOOL_SECONDS = Histogram(
    "ibmcp_tool_call_seconds",
    "Seconds until a tool call was answered.",
    ["tool"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 5, 10, 20),
)
AGENT_CALLS = Counter(
    "ibmcp_agent_calls",
    "Tool calls by the name of the token and by outcome (ok or an error code).",
    ["agent", "outcome"],
)
REFUSALS = Counter("ibmcp_refusals", "Requests refused before MCP began, by HTTP status.", ["status"])


def refusals() -> dict[str, int]:
    """Their number since the start, by status."""
    (found,) = REFUSALS.collect()
    return {one.labels["status"]: int(one.value) for one in found.samples if one.name.endswith("_total")}


def count(tool: str, agent: str, outcome: str, seconds: float) -> None:
    """Note one tool call."""
    calls, of_agent = _counters(tool, agent, outcome)
    calls.inc()
    of_agent.inc()
    TOOL_SECONDS.labels(tool).observe(seconds)


# Looking one up by its labels takes longer than counting.
@lru_cache(maxsize=1024)
def _counters(tool: str, agent: str, outcome: str) -> tuple[Counter, Counter]:
    return TOOL_CALLS.labels(tool, outcome), AGENT_CALLS.labels(agent, outcome)
