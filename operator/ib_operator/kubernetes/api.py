"""What the operator does at the Kubernetes API."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
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

# What waits for a slow server must not hold supervision up.
_WRITE_S = 3.0
_READ_S = 10.0
# A thousand pods at once would be the process's peak of memory.
_PAGE = 100
# The server ends a watch after this, and sends a bookmark about every minute before.
_WATCH_S = 240
_SILENCE_S = 100.0
_WRITES_AT_ONCE = 64


class ApiError(Exception):
    """The API server refused or could not be reached. ``status``: its HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_gone(self) -> bool:
        return self.status == 404


class Expired(ApiError):
    """The server no longer knows the version that a watch should begin at."""


class Api:
    """Requests that change something have three seconds from the moment they are sent.

    ``transport`` stands in for the sockets to the API server.
    """

    def __init__(
        self, settings: OperatorSettings, metrics: Metrics, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._metrics = metrics
        self._token: Callable[[], str] = lambda: read_token(settings.api_token_file)
        self._client = http_client.open_client(
            transport or http_client.sockets(trust(settings)), base_url=settings.api_url
        )
        # Watches are never done, so they share no pool with what is.
        self._watches = http_client.open_client(
            transport or http_client.sockets(trust(settings)), base_url=settings.api_url
        )
        self._writing = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def close(self) -> None:
        await self._client.aclose()
        await self._watches.aclose()

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

    async def apply_status(self, session: BrokerageSession, body: Mapping[str, Any]) -> dict[str, Any]:
        """Own the whole status of a BrokerageSession; the status as it was stored."""
        stored = await self._write(
            "brokeragesession",
            "PATCH",
            f"/apis/{GROUP}/{VERSION}/namespaces/{session.namespace}/{PLURAL}/{session.name}/status",
            body,
            kind="application/apply-patch+yaml",
            params={"fieldManager": MANAGER, "force": "true"},
        )
        found = stored.get("status")
        return found if isinstance(found, dict) else {}

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

    async def list_all(self, path: str, selector: str | None) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        """The objects at ``path`` in pages, each with the version that a watch of all goes on from."""
        params = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._read(path, params)
            meta = page.get("metadata") or {}
            yield page.get("items") or [], str(meta.get("resourceVersion", ""))
            if not meta.get("continue"):
                return
            params = {**params, "continue": meta["continue"]}

    async def watch(self, path: str, selector: str | None, version: str) -> AsyncIterator[dict[str, Any]]:
        """Events since ``version``, bookmarks included, until the server ends it. Expired when that is too old."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_S),
        } | ({"labelSelector": selector} if selector else {})
        timeout = httpx.Timeout(_READ_S, read=_SILENCE_S)
        async with (
            _named(),
            self._watches.stream("GET", path, params=params, headers=self._headers(), timeout=timeout) as got,
        ):
            if not got.is_success:
                await got.aread()
                raise _error("GET", path, got)
            async for line in got.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _ended(path, event["object"])
                yield event

    async def _read(self, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        async with _named(), asyncio.timeout(_READ_S):
            response = await self._client.get(path, headers=self._headers(), params=params)
            if not response.is_success:
                raise _error("GET", path, response)
            body: dict[str, Any] = response.json()
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
    ) -> dict[str, Any]:
        headers = self._headers() | {"Content-Type": kind}
        try:
            async with self._writing, _named():
                async with asyncio.timeout(_WRITE_S):
                    response = await self._client.request(
                        method, path, content=json.dumps(body), headers=headers, params=params
                    )
                if not response.is_success:
                    raise _error(method, path, response)
                stored: dict[str, Any] = response.json()
        except ApiError as error:
            self._metrics.writes.labels(name, str(error.status or "lost")).inc()
            raise
        self._metrics.writes.labels(name, "ok").inc()
        return stored

    def _headers(self) -> dict[str, str]:
        token = self._token()
        return {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})


@asynccontextmanager
async def _named() -> AsyncIterator[None]:
    """Errors of transport and form inside as ApiError."""
    try:
        yield
    except TimeoutError as error:
        raise ApiError("the Kubernetes API does not answer in time") from error
    except httpx.TransportError as error:
        raise ApiError(f"the Kubernetes API cannot be reached: {error or type(error).__name__}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(f"the Kubernetes API gives an answer that cannot be read: {error!r}") from error


def _error(method: str, path: str, response: httpx.Response) -> ApiError:
    kind = Expired if response.status_code == 410 else ApiError
    return kind(f"{method} {path}: {response.status_code} {_reason(response)}", response.status_code)


def _ended(path: str, status: Mapping[str, Any]) -> ApiError:
    code = status.get("code")
    kind = Expired if code == 410 else ApiError
    return kind(f"the watch of {path} ended: {status.get('message', '')}", code if isinstance(code, int) else None)


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
