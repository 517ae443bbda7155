"""Settings of the MCP server, read from ``IB_MCP_*`` (a secret X also from the file named by X_FILE)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, HttpUrl, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ib_mcp.auth import tokens
from ib_mcp.auth.granted import EVERYTHING, Grant
from ib_mcp.auth.scopes import READ, SCOPES, TRADE, WRITE, parse_scopes
from ib_mcp.oauth.addresses import public_base
from ib_mcp.oauth.passphrase import SHORTEST, is_hash
from ib_mcp.tags import is_wanted, known_tag
from ib_service.http.addresses import is_loopback

Names = Annotated[tuple[str, ...], NoDecode]


# How answers call the gateway of GUARD_URL where there are several.
FIRST_GATEWAY = "default"


class ExtraGuard(BaseModel):
    """The guard of one more gateway."""

    name: str = Field(min_length=1, description="How answers call it.")
    url: HttpUrl = Field(description="Base URL of its data port.")
    token: SecretStr = Field(description="Its bearer token.")
    approver_token: SecretStr | None = Field(None, description="Its approver token, where it trades.")


class McpSettings(BaseSettings):
    """What every transport needs; enough for stdio."""

    model_config = SettingsConfigDict(env_prefix="IB_MCP_", extra="ignore", frozen=True)

    guard_url: HttpUrl = Field(description="Base URL of the guard's data port, without /v1/api.")
    guard_token: SecretStr = Field(description="Bearer token of the guard.")
    extra_guards: tuple[ExtraGuard, ...] = Field(
        (), description='Guards of more gateways as JSON: [{"name": "live", "url": "...", "token": "..."}].'
    )
    default_account: str | None = Field(None, description="Account used by tools that are given none.")
    include_tags: Names = Field((), description="Only tools with one of these tags (comma-separated); empty means all.")
    exclude_tags: Names = Field((), description="No tools with one of these tags; wins over INCLUDE_TAGS.")
    allow_writes: bool = Field(
        False,
        description="Offer what changes watchlists, alerts, notification settings, allocation groups and the selected "
        "account; the guard has to permit it too, and tokens need the scope ibkr:write.",
    )
    trading: bool = Field(
        False,
        description="Offer the tools that preview, submit, change and cancel orders; the guard's trading policy decides"
        " what they may do, and tokens need the scope ibkr:trade.",
    )
    approver_token: SecretStr | None = Field(
        None,
        description="The guard's second secret, by which this server hands on that a person approved an order when the"
        " agent's client asked (approval ask).",
    )
    order_operator: str = Field(
        "ib-mcp",
        min_length=1,
        max_length=40,
        description="Who answers for orders at the futures exchanges (CME's rule 536-B): sent as extOperator.",
    )
    spec: str | None = Field(
        None, description="Path or URL of an OpenAPI document, of whose operations tools are generated."
    )
    spec_include_tags: Names = Field(
        (), description="Only operations of the document with one of these tags; empty means all."
    )
    spec_exclude_tags: Names = Field((), description="No operations of the document with one of these tags.")
    spec_include_operations: Names = Field(
        (), description="These operations of the document besides those of SPEC_INCLUDE_TAGS, or alone without them."
    )
    spec_naming: Literal["catalogue", "document"] = Field(
        "catalogue", description="Names of generated tools: ids of the catalogue, or the document's operationIds."
    )
    scopes: Names = Field(
        SCOPES, description="What an agent without a token may do (stdio, or with NO_AUTH): read, write, trade."
    )
    accounts: Names = Field(
        (), description="The only accounts of an agent without a token (stdio, or with NO_AUTH); empty means all."
    )
    deadline_s: float = Field(20, gt=0, le=300, description="Seconds in which every tool call is answered.")

    @field_validator(
        "include_tags",
        "exclude_tags",
        "scopes",
        "accounts",
        "issuer_users",
        "trusted_proxies",
        "external_users",
        "external_scopes",
        "spec_include_tags",
        "spec_exclude_tags",
        "spec_include_operations",
        "allowed_hosts",
        "allowed_origins",
        mode="before",
        check_fields=False,
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("spec", mode="before")
    @classmethod
    def _none_if_empty(cls, value: Any) -> Any:
        return value or None

    @field_validator("include_tags", "exclude_tags")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(known_tag, value))

    @field_validator("scopes", "external_scopes", check_fields=False)
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_scopes(" ".join(value)))

    @field_validator("extra_guards")
    @classmethod
    def _distinct(cls, value: tuple[ExtraGuard, ...]) -> tuple[ExtraGuard, ...]:
        names = [FIRST_GATEWAY, *(extra.name for extra in value)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"several gateways are called {twice[0]!r}; the first one is {FIRST_GATEWAY!r}")
        return value

    @property
    def gateways(self) -> tuple[str, ...]:
        """Their names, the first one's included."""
        return (FIRST_GATEWAY, *(extra.name for extra in self.extra_guards))

    @property
    def local_grant(self) -> Grant:
        """What an agent without a token may do."""
        return replace(EVERYTHING, scopes=frozenset(self.scopes), accounts=frozenset(self.accounts) or None)

    @property
    def offered_scopes(self) -> tuple[str, ...]:
        """Those that calls may need here."""
        wanted = {READ: True, WRITE: self.allow_writes, TRADE: self.trading}
        return tuple(scope for scope in SCOPES if wanted[scope])

    def wants(self, tags: Iterable[str]) -> bool:
        """Whether something with these tags is to be offered."""
        return is_wanted(tags, self.include_tags, self.exclude_tags)


class HttpSettings(McpSettings):
    """What serving over HTTP needs on top."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8800, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    no_auth: bool = Field(False, description="Serve without a token; allowed on a loopback address only.")
    public_url: str | None = Field(
        None,
        description="Where agents reach this server from outside: https:// and a host name, and the path under which it"
        " lies there, if not at the root; without /mcp.",
    )
    passphrase: SecretStr | None = Field(
        None,
        description="The owner's, 12 characters or more, by which agents are let in on the page of this server: turns"
        " OAuth on. Itself, or what ib-mcp passphrase prints for it. Needs PUBLIC_URL, and OAUTH_STORE or"
        " OAUTH_DATABASE.",
    )
    client_documents: bool = Field(
        False,
        description="Let in, by OAuth, agents that are known by the address of a document about them too: it is fetched"
        " from the public internet.",
    )
    issuer: str | None = Field(
        None, description="Issuer of your identity provider, exactly as its tokens name it: they are taken too."
    )
    issuer_users: Names = Field(
        (),
        validate_default=True,
        description="Whom of its users to let in: sub, email, preferred_username, or group:NAME. Needed with ISSUER.",
    )
    issuer_audience: str | None = Field(
        None, description="How its tokens name this server; by default PUBLIC_URL with /mcp."
    )
    sign_in_client: str | None = Field(
        None,
        description="Client id of this server at ISSUER: turns OAuth on, where the owner signs in there, in place"
        " of the passphrase or beside it. Its redirect URI there is PUBLIC_URL/sign-in.",
    )
    sign_in_secret: SecretStr | None = Field(
        None, description="Secret of SIGN_IN_CLIENT; none for a public client there."
    )
    oauth_database: SecretStr | None = Field(
        None, description="PostgreSQL of OAuth's clients and grants, which several replicas share: postgresql://..."
    )
    oauth_store: Path | None = Field(
        None, validate_default=True, description="SQLite file of OAuth's clients and grants, on a disk of this machine."
    )
    trusted_proxies: Names = Field(
        (),
        description="Addresses or networks of proxies that say who asks (forward-auth), such as 10.42.0.7 or"
        " 10.42.0.0/24; nobody else is believed. Needs EXTERNAL_USERS.",
    )
    external_users: Names = Field(
        (),
        validate_default=True,
        description="Whom of those whom such a proxy names to let in: values of the headers Remote-User, Remote-Email,"
        " X-Forwarded-User, X-Forwarded-Email, X-Auth-Request-User, X-Auth-Request-Email, or group:NAME.",
    )
    external_scopes: Names = Field((READ,), description="What they may do: read, write, trade.")
    tokens_dir: Path | None = Field(
        None,
        description="Folder with a file per named token (ib-mcp token new), read again when it changes.",
    )
    token: SecretStr | None = Field(
        None,
        validate_default=True,
        description="Tokens of the agents, one per line: the token (16 characters or more) or sha256:DIGEST, then its"
        " scopes (ibkr:read ibkr:write ibkr:trade; ibkr:read when none is given), name=NAME, accounts=U1,U2,"
        " expires=2027-01-31.",
    )
    allowed_hosts: Names = Field(
        (), description="Host names by which agents reach this server, besides loopback and its own address."
    )
    allowed_origins: Names = Field((), description="Origins of browser pages that may call this server.")

    @field_validator("public_url", mode="before")
    @classmethod
    def _base(cls, value: Any) -> Any:
        return public_base(value) if isinstance(value, str) and value.strip() else None

    @field_validator("passphrase")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST:
            raise ValueError(f"is shorter than {SHORTEST} characters, and could be guessed")
        if value is not None and value.get_secret_value().startswith("$") and not is_hash(value.get_secret_value()):
            raise ValueError("begins like a hash and is none that ib-mcp passphrase prints")
        return value

    @field_validator("oauth_database")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        url = urlsplit(value.get_secret_value())
        if url.scheme not in ("postgresql", "postgres") or not url.hostname:
            raise ValueError("has to be written like postgresql://user:password@host/database")
        return value

    @field_validator("oauth_store")
    @classmethod
    def _whole_oauth(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        given = info.data.get
        if given("sign_in_client") and not given("issuer"):
            raise ValueError("cannot be used: SIGN_IN_CLIENT is set, and ISSUER is missing or wrong")
        has_oauth = given("passphrase") is not None or given("sign_in_client")
        if has_oauth and (given("public_url") is None or (value is None and given("oauth_database") is None)):
            raise ValueError(
                "(or OAUTH_DATABASE) is needed with PASSPHRASE and with SIGN_IN_CLIENT, and so is PUBLIC_URL"
            )
        if value is not None and given("oauth_database") is not None:
            raise ValueError("is one way to keep grants, and OAUTH_DATABASE another: set one of them")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if ip_network(one, strict=False).prefixlen == 0:
                raise ValueError("names every address there is")
        return value

    @field_validator("external_users")
    @classmethod
    def _whole_external(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if bool(value) != bool(info.data.get("trusted_proxies")):
            raise ValueError("and TRUSTED_PROXIES go together: whom these name, and whom of them to let in")
        return value

    @field_validator("issuer")
    @classmethod
    def _secure_issuer(cls, value: str | None) -> str | None:
        if not value:
            return None
        url = urlsplit(value)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
            raise ValueError("has to begin with https://")
        return value

    @field_validator("issuer_users")
    @classmethod
    def _whole_issuer(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("issuer") and (not value or info.data.get("public_url") is None):
            raise ValueError("is needed with ISSUER, or everyone whom it signs in would get in; and so is PUBLIC_URL")
        return value

    @field_validator("token")
    @classmethod
    def _token_unless_loopback(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        no_auth, host = info.data.get("no_auth", False), info.data.get("host", "")
        if no_auth and not is_loopback(host):
            raise ValueError(f"is needed: without it only a loopback address may be served, not {host}")
        is_empty = value is None or not value.get_secret_value().strip()
        others = ("tokens_dir", "passphrase", "issuer", "trusted_proxies")
        if not no_auth and is_empty and not any(map(info.data.get, others)):
            raise ValueError(
                "is missing (or set TOKENS_DIR, PASSPHRASE, ISSUER or TRUSTED_PROXIES, or serve a loopback address with"
                " --no-auth)"
            )
        if value is not None:
            tokens.parse(value.get_secret_value())
        return value

    @property
    def has_oauth(self) -> bool:
        """Whether agents are let in here, by a page."""
        return self.passphrase is not None or bool(self.sign_in_client)

    @property
    def token_lines(self) -> str:
        return "" if self.token is None else self.token.get_secret_value()
