"""Settings of the operator process, read from ``IB_OPERATOR_*``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def _api_url() -> str:
    """The address that kubelet gives every pod; a name would need DNS, and an IPv6 address its brackets."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return "https://kubernetes.default.svc"
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class OperatorSettings(BaseSettings):
    """Lists are separated by commas. The defaults fit a pod with a mounted service account."""

    model_config = SettingsConfigDict(env_prefix="IB_OPERATOR_", frozen=True, extra="forbid")

    namespaces: Annotated[tuple[str, ...], NoDecode] = Field(description="Namespaces whose gateways are watched")
    api_url: str = Field(
        default_factory=_api_url,
        description="Base URL of the Kubernetes API server; unset: where KUBERNETES_SERVICE_HOST and _PORT say",
    )
    api_ca_file: Path | None = Field(_ACCOUNT / "ca.crt", description="PEM file with the API server's authority")
    api_token_file: Path = Field(
        _ACCOUNT / "token", description="File with the bearer token, read afresh because it is rotated"
    )
    deployment: str | None = Field(
        None, description="NAMESPACE/NAME of the operator's own Deployment, for Events about the operator itself"
    )
    name: str | None = Field(
        None, description="Value of the label ib-mcp.dev/operator of the gateways to supervise; unset: all gateways"
    )
    own_gateway: str = Field(
        "", description="NAMESPACE/NAME of the StatefulSet that is supervised without the label, the release's own"
    )
    sessions: bool = Field(True, description="Whether BrokerageSessions are watched; without them the defaults hold")
    host: str = Field("0.0.0.0", description="Address of /livez, /readyz and /metrics")
    port: int = Field(8080, ge=0, le=65535, description="Port of /livez, /readyz and /metrics")
    control_port: int = Field(8081, gt=0, le=65535, description="Port of the gateway pods' /status")
    poll_s: float = Field(15, gt=0, description="Seconds between two polls of a gateway")
    reauth_per_s: float = Field(
        2, gt=0, description="Sessions re-opened per second over all gateways, so that a nightly reset is no stampede"
    )
    channels_dir: Path = Field(
        Path("/etc/ib-mcp/channels"), description="Folder with one folder per Secret named in notifications[].secretRef"
    )

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("namespaces")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one namespace")
        return value
