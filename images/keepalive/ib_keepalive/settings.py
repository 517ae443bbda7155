"""Settings of the keepalive process, read from ``IB_KEEPALIVE_*``."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ib_keepalive.oauth1.credentials import read_credentials
from ibkr.session import Opener

Port = Annotated[int, Field(ge=0, le=65535)]
Backend = Literal["gateway", "oauth1"]
Names = Annotated[tuple[str, ...], NoDecode]
# Shown where people would be told where to sign in.
_NO_LOGIN = "ib-mcp oauth check (there is no sign-in with OAuth: IBKR refuses the keys)"


class KeepaliveSettings(BaseSettings):
    """Ports of 0 are picked by the system. Lists are separated by commas."""

    model_config = SettingsConfigDict(env_prefix="IB_KEEPALIVE_", frozen=True, extra="forbid")

    backend: Backend = Field(
        "gateway",
        description="How IBKR is reached: gateway (by IBKR's gateway program), oauth1 (without it, by OAuth 1.0a)",
    )
    oauth1_dir: Path | None = Field(
        None,
        validate_default=True,
        description="With oauth1: directory with consumer_key, access_token, access_token_secret, "
        "private_signature.pem, private_encryption.pem and dhparam.pem, as `ib-mcp oauth setup` leaves them",
    )
    gateway_url: str = Field(
        description="Base URL of IBKR's gateway, e.g. https://127.0.0.1:5000; with oauth1 https://api.ibkr.com"
    )
    token: SecretStr = Field(min_length=8, description="Bearer token that callers of the data port must send")
    gateway_ca_file: Path | None = Field(
        None, description="PEM file with the authority of the gateway's certificate; without it a loopback gateway "
        "is not verified (IBKR ships a public, expired key pair) and any other is verified by the system's authorities"
    )  # fmt: skip
    gateway_origin: str | None = Field(
        None, description="Origin that the gateway's CORS rule admits; default: the origin of GATEWAY_URL"
    )
    gateway_build: str | None = Field(None, description="Name of the gateway's build, shown in /status")
    data_host: str = Field("127.0.0.1", description="Address the data port listens on")
    data_port: Port = Field(8080, description="Data port (guard)")
    control_host: str = Field("127.0.0.1", description="Address the control port listens on")
    control_port: Port = Field(8081, description="Control port")
    control_names: Names = Field((), description="Host names besides loopback and IP addresses that reach control")
    login_port: Port = Field(5443, description="Login port, on 127.0.0.1 always")
    login_names: Names = Field((), description="Host names besides loopback that reach the login pages")
    login_hint: str | None = Field(None, description="URL or command that people are shown to sign in")
    record_file: Path | None = Field(
        None, description="File that remembers, over a restart, which slow limits of IBKR are used up"
    )
    maintenance_hours: bool = Field(
        True, description="Whether IBKR is expected to be down in its announced hours; a simulator keeps none"
    )
    brokerage_login: Opener = Field(
        "gateway",
        description="Who opens the brokerage session after a sign-in: keeper (IBKR's program is told not to, by "
        "authDelay 2147483647), gateway (IBKR's program by itself), nobody (portfolio only)",
    )
    instance: str | None = Field(None, description="Name of the pod, which requests to open a session may give")
    compete_at_sign_in: bool = Field(
        True, description="Whether the opening after a sign-in takes the session from another program of the user"
    )
    compete: bool = Field(False, description="Whether a later opening on request may do so")
    allow_writes: bool = Field(
        False,
        description="Whether callers may change what IBKR keeps for the user and is no order: watchlists, alerts, "
        "notification settings, allocation groups, the selected account; `writes` in the policy file comes before it",
    )
    trading_file: Path | None = Field(
        None,
        description="The owner's policy (TOML), read again whenever it is needed; without it no trading",
    )
    trading_dir: Path | None = Field(
        None,
        description="Directory for the ledger of orders, the stop and the audit, which outlive a restart there; "
        "without it nothing is traded",
    )
    approver_token_file: Path | None = Field(
        None,
        description="File with the secret that proves a person's approval of an order; without it none can be given",
    )
    approval_url: str | None = Field(
        None,
        description="URL of the page where people approve orders, or how they come there; "
        "default: LOGIN_HINT/approvals",
    )
    auto_reopen: bool = Field(
        False, description="Whether the keeper re-opens a lost brokerage session by itself, until PUT /policy says more"
    )
    reopen_after_s: float = Field(
        0, ge=0, description="How long the keeper leaves a lost session to others (an operator) before it re-opens it"
    )

    @model_validator(mode="before")
    @classmethod
    def _go_without_a_gateway(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("backend") != "oauth1":
            return given
        return {"gateway_url": "https://api.ibkr.com", "brokerage_login": "keeper", "login_hint": _NO_LOGIN} | given

    @property
    def approvals_at(self) -> str | None:
        """Where people approve orders, as they are told."""
        if self.approval_url is not None or self.login_hint is None:
            return self.approval_url
        return f"{self.login_hint.rstrip('/')}/approvals"

    @field_validator("control_names", "login_names", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator("oauth1_dir")
    @classmethod
    def _check_keys(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if info.data.get("backend") == "oauth1":
            if value is None:
                raise ValueError("is missing; `ib-mcp oauth setup` makes the directory")
            read_credentials(value)
        return value

    @field_validator("brokerage_login")
    @classmethod
    def _check_opener(cls, value: Opener, info: ValidationInfo) -> Opener:
        if info.data.get("backend") == "oauth1" and value == "gateway":
            raise ValueError("there is no gateway program with oauth1; keeper or nobody")
        return value

    @field_validator("gateway_ca_file")
    @classmethod
    def _check_authority(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=str(value))
            except OSError as error:
                raise ValueError(f"{value} is not a readable PEM file with certificates") from error
        return value

    @field_validator("approver_token_file")
    @classmethod
    def _check_approver(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                secret = value.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{value} cannot be read") from error
            if len(secret) < 8:
                raise ValueError(f"{value} must hold a secret of at least 8 characters")
        return value

    @field_validator("gateway_url", "gateway_origin")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        has_more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or has_more:
            raise ValueError("must look like https://HOST:PORT, without a path")
        return f"{parts.scheme}://{parts.netloc}"
