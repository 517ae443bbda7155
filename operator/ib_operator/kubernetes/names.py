"""Names by which the operator, the chart and Kubernetes know the same things."""

from __future__ import annotations

MANAGER = "ib-mcp-operator"
"""Field manager and reporter of Events."""
GROUP, VERSION, PLURAL, KIND = "ib-mcp.dev", "v1alpha1", "brokeragesessions", "BrokerageSession"
GATE = "ib-mcp.dev/session-authenticated"
"""Type of the pod condition that is the gateway's readiness gate."""
REQUEST = "ib-mcp.dev/reauthenticate-at"
"""Annotation of a BrokerageSession: the time of a request to open the session once more."""
POD_LABELS = {"app.kubernetes.io/component": "gateway", "app.kubernetes.io/part-of": "ib-mcp"}
OPERATOR = "ib-mcp.dev/operator"
"""Label of gateway pods and BrokerageSessions: the one operator that supervises them."""
