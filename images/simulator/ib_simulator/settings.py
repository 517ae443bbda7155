"""Settings of ``python -m ib_simulator``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SimulatorSettings(BaseSettings):
    """Read from the environment with the prefix ``IB_SIMULATOR_``."""

    model_config = SettingsConfigDict(env_prefix="IB_SIMULATOR_", extra="forbid")

    host: str = Field("127.0.0.1", description="address of both listeners")
    port: int = Field(0, ge=0, le=65535, description="the broker's port; 0 takes a free one and logs it")
    control_port: int = Field(0, ge=0, le=65535, description="port of /control; 0 takes a free one and logs it")
    role: Literal["gateway", "backend"] = Field("gateway", description="gateway plus IBKR, or IBKR behind the real one")
    seed: int = Field(7, description="same seed, same world")
    signed_in: Literal["paper", "live", "odd", "none"] = Field("paper", description="who is signed in at the start")
    scenario: Path | None = Field(None, description="scenario file to play from the start")
    limits: bool = Field(True, description="enforce IBKR's limits: 10 requests a second and those of single endpoints")
    second_step: Literal["auto", "wait", "none"] = Field(
        "auto", description="second step of the login: approved after 2 s, waiting for the control API, or none"
    )
    brokerage_login: Literal["gateway", "keeper"] = Field(
        "gateway", description="who opens the brokerage session after a login: the gateway, or somebody who asks for it"
    )
    positions_page: int = Field(
        100, ge=1, le=1000, description="positions in a page: 100, or 30 as older documents say"
    )
    tls_cert_file: Path | None = Field(None, description="certificate chain (PEM) of the broker's port")
    tls_key_file: Path | None = Field(None, description="its key (PEM)")
