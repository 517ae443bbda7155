"""The five things the operator does at the Kubernetes API beside watching: each one request."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import structlog

from ib_operator import http_client
from ib_operator.kubernetes.names import GROUP, MANAGER, PLURAL, VERSION
from ib_operator.kubernetes.objects import BrokerageSession, Pod
from ib_operator.metrics import Metrics
from ib_operator.settings import OperatorSettings

log = structlog.get_logger("ib_operator.kubernetes.api")


class ApiError(Exception):
    """The API server refused or could not be reached. ``status``: its HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_gone(self) -> bool:
        return self.status == 404


class Api:
    """``transport`` stands in for the sockets to the API server."""

    def __init__(
        self, settings: OperatorSettings, metrics: Metrics, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._metrics = metrics
        self._token: Callable[[], str] = lambda: read_token(settings.api_token_file)
        self._client = http_client.open_client(
            transport or http_client.sockets(trust(settings)), base_url=settings.api_url
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def patch_pod(self, pod: Pod, condition: Mapping[str, Any]) -> None:
        """Set one condition of the pod; the list merges by type, so those of others stay."""
        await self._write(
            "pod",
            "PATCH",
            f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status",
            {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}},
            kind="application/strategic-merge-patch+json",
            params={"fieldManager": MANAGER},
        )

    async def apply_status(self, session: BrokerageSession, body: Mapping[str, Any]) -> None:
        """Own the whole status of a BrokerageSession."""
        await self._write(
            "brokeragesession",
            "PATCH",
            f"/apis/{GROUP}/{VERSION}/namespaces/{session.namespace}/{PLURAL}/{session.name}/status",
            body,
            kind="application/apply-patch+yaml",
            params={"fieldManager": MANAGER, "force": "true"},
        )

    async def create_event(self, event: Mapping[str, Any]) -> None:
        await self._write("event", "POST", f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)

    async def update_revision(self, namespace: str, name: str) -> str:
        """The revision that new pods of a StatefulSet are made from."""
        body = await self._read(f"/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}")
        return str((body.get("status") or {}).get("updateRevision") or "")

    async def evict(self, pod: Pod) -> None:
        """Ask for the pod's end, which a PodDisruptionBudget may refuse with 429."""
        await self._write(
            "eviction",
            "POST",
            f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod.name, "namespace": pod.namespace},
                "deleteOptions": {"preconditions": {"uid": pod.uid}},
            },
        )

    async def serves_sessions(self, namespace: str) -> bool:
        """Whether the API server knows BrokerageSessions at present."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
        try:
            await self._read(path, params={"limit": "1"})
        except ApiError as error:
            if error.is_gone:
                return False
            raise
        return True

    async def _read(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        body: dict[str, Any] = (await self._send("GET", path, params=params)).json()
        return body

    async def _write(
        self,
        name: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        kind: str = "application/json",
        params: dict[str, str] | None = None,
    ) -> None:
        try:
            await self._send(method, path, json.dumps(body), kind, params)
        except ApiError as error:
            self._metrics.writes.labels(name, str(error.status or "lost")).inc()
            raise
        self._metrics.writes.labels(name, "ok").inc()

    async def _send(
        self,
        method: str,
        path: str,
        content: str | None = None,
        kind: str = "application/json",
        params: dict[str, str] | None = None,
    ) -> httpx.Response:
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if content is not None else {})
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        try:
            response = await self._client.request(method, path, content=content, headers=headers, params=params)
        except httpx.TransportError as error:
            raise ApiError(f"the Kubernetes API cannot be reached: {error or type(error).__name__}") from error
        if response.is_success:
            return response
        raise ApiError(f"{method} {path}: {response.status_code} {_reason(response)}", response.status_code)


def read_token(file: Path) -> str:
    """The token as it is now; empty where there is none."""
    try:
        return file.read_text("utf-8").strip()
    except OSError:
        return ""


def trust(settings: OperatorSettings) -> ssl.SSLContext | None:
    """How the API server proves itself; None for the system's authorities."""
    if settings.api_ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(settings.api_ca_file))
    # Python 3.13 asks for extensions that the self-made authorities of many clusters lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json().get("message", ""))[:300]
    except (ValueError, AttributeError):
        return response.text[:300]
